"""``ckan mlops report``, ``approve``, ``reject`` and ``revert``: what a harvest did, and what is decided about it."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from ckan import model
from ckan.plugins import toolkit as tk

MAX_SHOWN = 1000


@click.command()
@click.argument("job")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def report(job: str, as_json: bool) -> None:
    """Show what the harvest JOB did: every dataset, what happened to it and why. Ends with 1 when something failed."""
    found = _call("mlops_harvest_report", id=job, limit=MAX_SHOWN)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        for each in found["datasets"]:
            what = "failed" if each["state"] == "failed" else each["kind"]
            kept = f" (kept: {', '.join(each['kept'])})" if each["kept"] else ""
            click.echo(f"{what:<10} {each['name'] or each['title']}  {each['error'] or each['reason']}{kept}".rstrip())
        for problem in found["problems"]:
            click.echo(f"not read   {problem}")
        if found["count"] > len(found["datasets"]):
            click.echo(f"… and {found['count'] - len(found['datasets']):,} more datasets")
        click.echo(f"{found['stage']}: {found['summary']}")
        if check := found["check"]:
            click.echo(f"The source has {check['source']}, the catalog has {check['catalog']} datasets of it.")
            for missing in check["missing"]:
                click.echo(f"  - {missing}")
    if found["counts"]["failed"] or found["stage"] == "failed":
        sys.exit(1)


@click.command()
@click.argument("job")
def approve(job: str) -> None:
    """Let the workers write the plan of the harvest JOB, which waits for approval."""
    click.echo(f"{_call('mlops_harvest_approve', id=job)['changes']:,} changes are written now")


@click.command()
@click.argument("job")
@click.option("--why", default="", help="What is wrong with it; shown with the job.")
def reject(job: str, why: str) -> None:
    """Forget the plan of the harvest JOB, which waits for approval."""
    click.echo(f"{_call('mlops_harvest_reject', id=job, why=why)['changes']:,} changes are not written")


@click.command()
@click.argument("job")
@click.option("--partly", is_flag=True, help="Take back what can be, when something stands in the way.")
def revert(job: str, partly: bool) -> None:
    """Take the harvest JOB back, here and now: its datasets are as before, those that it added are purged.

    What people or later harvests changed since stands in the way, and nothing is taken back then.
    """
    from ckanext.mlops.core.errors import MlopsError
    from ckanext.mlops.harvesting import revert as reverting

    found = _call("mlops_harvest_report", id=job, limit=0)
    user = _user()
    try:
        outcome = reverting.run(job, user, partly=partly, step=_step)
    except MlopsError as error:
        raise click.ClickException(str(error)) from error
    facts = {"reverted": len(outcome.reverted), "refused": outcome.refused}
    reverting.note(job, found["source"], user, facts)
    for title, why in outcome.refused.items():
        click.echo(f"left       {title}: {why}")
    click.echo(f"{len(outcome.reverted):,} datasets taken back")
    model.Session.remove()


def _step(number: int, total: int, title: str) -> None:
    click.echo(f"{number:,} of {total:,} {title}".rstrip(), err=True)


def _user() -> str:
    return str(tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"])


def _call(action: str, **values: Any) -> Any:
    try:
        return tk.get_action(action)({"user": _user(), "ignore_auth": True}, values)
    except tk.ObjectNotFound as error:
        raise click.ClickException(f"There is no harvest job {values['id']}.") from error
    except tk.ValidationError as error:
        raise click.ClickException("; ".join(map(str, error.error_summary.values()))) from error
