"""The report of a harvest, mailed to whoever created its source, when the source says so (``mail_reports``)."""

from __future__ import annotations

import datetime
import logging
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib import mailer
from ckan.plugins import toolkit as tk
from ckanext.harvest.model import HarvestJob, HarvestSource
from sqlalchemy.orm import Session

from ckanext.mlops.catalog.text import line
from ckanext.mlops.harvesting import reading, reports
from ckanext.mlops.harvesting.source_config import ConfigError
from ckanext.mlops.model import Plan
from ckanext.mlops.model.tables import utc_now

log = logging.getLogger(__name__)
#: Jobs that were over before are not mailed any more: the option was set later.
_RECENT = datetime.timedelta(days=2)
_AT_ONCE = 50
_DATASETS = 200


def send_due() -> int:
    """Mail the reports of the jobs that are over; how many were sent. Each is tried once."""
    session = model.Session()
    due = session.execute(
        sa.select(Plan, HarvestJob, HarvestSource)
        .join(HarvestJob, HarvestJob.id == Plan.id)
        .join(HarvestSource, HarvestSource.id == HarvestJob.source_id)
        .where(
            Plan.kind == "harvest",
            Plan.mailed.is_(None),
            Plan.changed > utc_now() - _RECENT,
            HarvestJob.status == "Finished",
            HarvestSource.type == "dvc",
        )
        .limit(_AT_ONCE)
        .with_for_update(of=Plan.__table__, skip_locked=True)
    ).all()
    number = 0
    for row, job, source in due:
        row.mailed = utc_now()
        session.flush()
        if _wanted(source):
            report = reports.report(session, job, limit=_DATASETS, fields=False) | {"url": reports.job_url(job)}
            number += _worth(report) and _send(session, source, report)
    session.commit()
    return number


def _wanted(source: HarvestSource) -> bool:
    try:
        return reading.configuration(str(source.config or "")).mail_reports
    except ConfigError:
        return False


def _worth(report: dict[str, Any]) -> bool:
    counts = report["counts"]
    written = any(counts[name] for name in ("added", "changed", "retired", "failed", "held"))
    return bool(written or report["problems"])


def _send(session: Session, source: HarvestSource, report: dict[str, Any]) -> bool:
    package = session.get(model.Package, source.id)
    user = session.get(model.User, package.creator_user_id) if package is not None else None
    if user is None or not user.email or user.state != "active":
        log.warning("Harvest job %s: its source has no creator with a mail address", report["job"])
        return False
    report["datasets"] = [each for each in report["datasets"] if each["kind"] != "unchanged"]
    report["count"] = sum(
        report["counts"][name] for name in ("added", "changed", "retired", "failed", "waiting", "held")
    )
    body = _text(source, report)
    what = tk._("waits for approval") if report["stage"] == "held" else report["summary"] or tk._("failed")
    subject = line(f"{tk.config.get('ckan.site_title')}: {source.title or source.url}: {what}", 200)
    try:
        mailer.mail_user(user, subject, body)
    except Exception:  # of a portal whose mail is not configured CKAN raises what comes
        log.exception("Harvest job %s: its report could not be mailed", report["job"])
        return False
    return True


def _text(source: HarvestSource, report: dict[str, Any]) -> str:
    """The mail; of text from repositories every line is one line."""
    lines = [f"{source.title or source.url}: {report['summary'] or tk._('the repository could not be read')}", ""]
    if report["check"]:
        told = tk._("The source has {source}, the catalog has {catalog} datasets of it.")
        lines += [told.format(**report["check"]), *(f"- {line(each)}" for each in report["check"]["missing"]), ""]
    if report["stage"] == "held":
        lines += [tk._("This plan waits for approval: nothing of it is in the catalog yet."), ""]
    if report["problems"]:
        lines += [tk._("Not read:"), *(f"- {line(each)}" for each in report["problems"]), ""]
    for each in report["datasets"]:
        what = tk._("failed") if each["state"] == "failed" else each["kind"]
        why = each["error"] or each["reason"]
        lines.append(line(f"{what}: {each['title']}" + (f" ({why})" if why else "")))
    more = report["count"] - len(report["datasets"])
    if more > 0:
        lines.append(tk._("{n} more").format(n=more))
    return "\n".join([*lines, "", report["url"], ""])
