"""The configuration of a source as fields of its form, with help and validation, in place of JSON.

The fields are called ``mlops_<option>``: ckanext-harvest lays the options themselves over the source's own fields when
it shows it. Its own way to have fields, ``extra_schema``, loses them when a source is changed (1.6.3 with CKAN 2.12).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from ckan.plugins import toolkit as tk
from flask import has_request_context, request

from ckanext.mlops.harvesting import repositories, source_config
from ckanext.mlops.harvesting.source_config import OPTIONS, ConfigError, SourceConfig
from ckanext.mlops.tracking import servers as mlflow_servers

PREFIX = "mlops_"
#: A form that has the fields says so; without it, a checkbox that is not sent would be one that is off.
MARK = "mlops_form"
Kind = Literal["lines", "text", "flag", "number", "choice"]
_DEFAULTS = {each.name: each.default for each in fields(SourceConfig)}
_TOGETHER = ("mlflow_experiment",)


@dataclass(frozen=True)
class Field:
    """One option in the form; ``choices`` gives the names of a choice."""

    name: str
    kind: Kind
    label: str
    help: str
    placeholder: str = ""
    choices: Callable[[], Iterable[str]] | None = None


def groups() -> list[tuple[str, list[Field]]]:
    """The fields by heading, in the reader's language."""
    _ = tk._
    return [
        (
            _("What is read"),
            [
                Field(
                    "branches",
                    "lines",
                    _("Branches"),
                    _("Patterns, one a line; ! leaves out, !* all. Empty: all branches."),
                    "main\nrelease-*\n!release-old",
                ),
                Field(
                    "git_tags",
                    "lines",
                    _("Tags"),
                    _("Patterns, one a line; ! leaves out, !* all. Empty: all tags."),
                    "v*",
                ),
                Field(
                    "commits",
                    "number",
                    _("Commits"),
                    _("So many of the newest commits of the default branch as well; all: every commit."),
                    "20",
                ),
                Field("experiments", "flag", _("DVC experiments"), _("Read the experiments that were pushed, too.")),
                Field(
                    "subfolder",
                    "text",
                    _("Subfolder"),
                    _("Only what is below this folder of the repository."),
                    "projects/titanic",
                ),
                Field(
                    "include",
                    "lines",
                    _("Only these stages and files"),
                    _("Patterns of stage addresses or output paths, one a line. Empty: all."),
                    "train*\ndata/*.csv",
                ),
                Field("exclude", "lines", _("Not these stages and files"), _("Patterns, one a line."), "tmp/*"),
                Field(
                    "remote",
                    "text",
                    _("DVC remote"),
                    _("Name of the remote that storage addresses lead to; empty: the default one."),
                    "storage",
                ),
                Field(
                    "remote_metrics",
                    "flag",
                    _("Metrics in storage"),
                    _(
                        "Metrics files that only the DVC remote has are fetched from it, where the operator says how; "
                        "whoever may see a dataset sees its values."
                    ),
                ),
            ],
        ),
        (
            _("What the datasets are like"),
            [
                Field(
                    "private_datasets", "flag", _("Private"), _("Only members of the organization see the datasets.")
                ),
                Field(
                    "title_template",
                    "text",
                    _("Titles"),
                    _("How datasets are called: {project}, {stage}, {folder} and {repository} are filled in."),
                    "{project}: {stage}",
                ),
                Field(
                    "tags_added",
                    "lines",
                    _("Tags of the datasets"),
                    _("One a line; every dataset gets them."),
                    "titanic",
                ),
                Field(
                    "groups_added",
                    "lines",
                    _("Groups of the datasets"),
                    _("Names of groups of this portal, one a line."),
                    "passengers",
                ),
                Field(
                    "mlflow_server",
                    "choice",
                    _("MLflow server"),
                    _("Where the trainings of this project are tracked."),
                    choices=mlflow_servers.names,
                ),
                Field(
                    "mlflow_experiment",
                    "text",
                    _("MLflow experiment"),
                    _("Name of the experiment on that server."),
                    "titanic",
                ),
            ],
        ),
        (
            _("How it is harvested"),
            [
                Field(
                    "credential",
                    "choice",
                    _("Credential"),
                    _("For a private repository; the operator configures them. Never write a password here."),
                    choices=repositories.credential_names,
                ),
                Field(
                    "approval",
                    "flag",
                    _("Wait for approval"),
                    _("A harvest writes nothing until an editor has looked at its plan and approved it."),
                ),
                Field(
                    "mail_reports",
                    "flag",
                    _("Mail the reports"),
                    _("Whoever created this source gets a mail when a harvest changed something or failed."),
                ),
                Field(
                    "previews",
                    "flag",
                    _("Previews"),
                    _("A worker looks whether the files are in their storage, and makes previews of them."),
                ),
                Field(
                    "webhook",
                    "choice",
                    _("Webhook"),
                    _("A push that is signed with its secret starts a harvest; the operator configures them."),
                    choices=repositories.webhook_names,
                ),
                Field(
                    "push",
                    "flag",
                    _("Records are sent"),
                    _("This portal cannot reach the repository; a job there sends its records (ckan-mlops push)."),
                ),
            ],
        ),
    ]


def check(config: str | None) -> None:
    """See that a configuration that is to be stored can be used now, with all that it names.

    :raises ConfigError: naming the option, the fault and the remedy
    """
    source_config.parse(config, configured=_configured())


def _configured() -> dict[str, Iterable[str]]:
    """Option → the names that the operator configured."""
    return {
        "credential": repositories.credential_names(),
        "webhook": repositories.webhook_names(),
        "mlflow_server": mlflow_servers.names(),
    }


def sent(config: str | None) -> str | None:
    """The configuration with the fields of the form that is being sent; as it is when none is, as by programs.

    :raises ConfigError: naming each field that is wrong
    """
    if not has_request_context() or not request.form.get(MARK):
        return config
    options = _options(request.form)
    wrong = _wrong(options)
    if wrong:
        raise ConfigError("; ".join(f"{name}: {message}" for name, message in wrong.items()))
    return json.dumps(options)


def _options(form: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields say, without what is the default anyway."""
    options = {}
    for _, members in groups():
        for field in members:
            value = _parsed(field, form.get(PREFIX + field.name))
            if value not in ("", []) and value != _DEFAULTS[field.name]:
                options[field.name] = value
    return options


def _parsed(field: Field, text: Any) -> Any:
    if field.kind == "flag":
        return bool(text)
    text = str(text or "").strip()
    if field.kind == "lines":
        return [line.strip() for line in text.splitlines() if line.strip()]
    if field.kind == "number" and text.isdecimal():
        return int(text)
    return text


def _wrong(options: Mapping[str, Any]) -> dict[str, str]:
    """Option → what is wrong with it."""
    found: dict[str, str] = {}
    configured = _configured()
    for tried in [*({name: value} for name, value in options.items() if name not in _TOGETHER), dict(options)]:
        try:
            source_config.parse(json.dumps(tried), configured=configured)
        except ConfigError as error:
            name, _, message = str(error).partition(": ")
            name = name.split(",")[0]
            if name not in OPTIONS:
                name, message = next(iter(tried), "branches"), str(error)
            found.setdefault(name, message)
            if tried == options:
                break
    return found


def problems(data: Mapping[str, Any]) -> dict[str, str]:
    """Option → what is wrong with it, of a form that comes back."""
    return _wrong(_options(data)) if data.get(MARK) else {}


def values(data: Mapping[str, Any], config: str | None) -> dict[str, Any]:
    """What the fields are to show: as they were sent when the form comes back with errors, else as configured."""
    if data.get(MARK):
        return {name: data.get(PREFIX + name, "") for name in OPTIONS}
    try:
        stored: dict[str, Any] = json.loads(config or "{}")
    except ValueError:
        stored = {}
    return {
        name: "\n".join(map(str, value)) if isinstance(value, list) else value
        for name, value in stored.items()
        if name in OPTIONS
    }
