"""Template helpers of harvests: the form of a source, the report of a job, why something was done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from ckanext.harvest.model import HarvestJob, HarvestSource

from ckanext.mlops.catalog.plan import KINDS
from ckanext.mlops.harvesting import reports, source_form
from ckanext.mlops.logic.schema.harvest import HAPPENED
from ckanext.mlops.logic.told import told
from ckanext.mlops.model import plans


def mlops_source_form(data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a harvest source's form. ``own``: the source is there already, and one of ours."""
    source = model.Session.get(HarvestSource, data["id"]) if data.get("id") else None
    own = source is not None and str(source.type) == "dvc"
    shown = source_form.values(data, str(source.config or "") if source is not None and own else None)
    groups = source_form.groups()
    fields = [each for _, members in groups for each in members]
    return {
        "own": own,
        "groups": groups,
        "problems": {name: mlops_told(text) for name, text in source_form.problems(data).items()},
        "fields": {each.name: shown.get(each.name, "") for each in fields},
        "choices": {each.name: sorted(each.choices()) for each in fields if each.choices is not None},
    }


def mlops_is_dvc_source(source_id: str | None) -> bool:
    """Whether a harvest source is one of ours."""
    source = model.Session.get(HarvestSource, source_id) if source_id else None
    return source is not None and str(source.type) == "dvc"


def mlops_harvest_report(job_id: str, what: str = "", page: str = "1", limit: int = 50) -> dict[str, Any]:
    """The report of a harvest job, with a page of its datasets; ``newer`` and ``older`` are the pages beside it.

    ``over``: it can be taken back.
    """
    number = int(page) if page.isdecimal() and 0 < len(page) < 7 else 1
    what = what if what in HAPPENED else ""
    asked = {"id": job_id, "what": what, "limit": limit, "offset": (max(number, 1) - 1) * limit}
    report: dict[str, Any] = tk.get_action("mlops_harvest_report")({}, asked)
    older = number + 1 if report["count"] > number * limit else None
    over = report["stage"] in reports.OVER
    return report | {"newer": number - 1 if number > 1 else None, "older": older, "over": over}


def mlops_plan_summary(plan: Mapping[str, Any]) -> str:
    """What a plan does, in one line of the reader's language: ``12 stages, 40 outputs: 3 added, 1 changed``."""
    names = {
        "added": tk._("added"),
        "changed": tk._("changed"),
        "unchanged": tk._("unchanged"),
        "retired": tk._("retired"),
        "problems": tk._("problems"),
    }
    counts = plan["counts"]
    done = [f"{counts[kind]:,} {name}" for kind, name in names.items() if counts.get(kind) or kind in KINDS[:3]]
    stages = tk.ungettext("{n} stage", "{n} stages", plan["stages"]).format(n=f"{plan['stages']:,}")
    outputs = tk.ungettext("{n} output", "{n} outputs", plan["outputs"]).format(n=f"{plan['outputs']:,}")
    return f"{stages}, {outputs}: {', '.join(done)}"


def mlops_told(text: str) -> str:
    """What a reader, plan or worker said in English, in the reader's language."""
    return told(text)


def mlops_harvest_jobs(source_id: str) -> list[dict[str, Any]]:
    """The newest jobs of a source: ``id``, ``created``, ``stage`` and ``plan`` of each."""
    return reports.newest(model.Session(), source_id)


def mlops_is_harvested(job_id: str) -> bool:
    """Whether a job is on its way. (ckanext-harvest says so until somebody looks.)"""
    session = model.Session()
    job = session.get(HarvestJob, job_id)
    return job is not None and reports.stage(session, job, plans.get(session, job_id)) in reports.ON_ITS_WAY
