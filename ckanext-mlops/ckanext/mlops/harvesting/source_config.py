"""The configuration of a ``dvc`` harvest source: a JSON object that anybody may read, so it never holds a secret."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from ckanext.mlops.catalog.datasets import TITLE_FIELDS
from ckanext.mlops.catalog.text import line
from ckanext.mlops.core.said import said

MAX_CONFIG = 100_000
MAX_ITEMS = 200
MAX_ITEM = 500
MAX_COMMITS = 100_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_SECRET_KEY = re.compile(r"token|passw|secret|api_?key|access_?key|private_?key|authorization|bearer", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"gh[pousr]_\w{16,}|github_pat_\w{16,}|gl(?:pat|dt|ptt|rt)-[\w-]{16,}|xox[a-z]-[\w-]{8,}|A[KS]IA[0-9A-Z]{12,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}|-----BEGIN|://[^/\s:@]*:[^/\s@]+@|(?:^|\s)(?:Basic|Bearer)\s+\S{8,}"
)
# Long enough to be a key, and of nothing but the alphabet of keys. Globs are not held against it: a branch may be so.
_KEY_LIKE = re.compile(r"[0-9a-fA-F]{32,}|(?=\w*[0-9])(?=\w*[A-Z])(?=\w*[a-z])\w{24,}")
_GLOBS = ("branches", "git_tags", "include", "exclude")
_RENAMED = {"title": "title_template", "tags": "git_tags", "private": "private_datasets", "groups": "groups_added"}
_REMEDY = (
    "the settings of a source can be read by everybody. Ask the operator to configure a credential "
    '(ckanext.mlops.credential.<name>.token and .hosts) and write {"credential": "<name>"} here'
)


class ConfigError(ValueError):
    """The configuration of a source cannot be used; the message names the option, the fault and the remedy."""


@dataclass(frozen=True)
class SourceConfig:
    """What the owner of a source chose.

    ckanext-harvest lays the options over the source's own fields when it shows the source, so no option may be called
    like a field of a package (``tags``, ``groups``, ``private``).

    :param branches: globs of branch names that are read; ``!release-*`` leaves out. ``git_tags`` likewise.
    :param experiments: also read DVC experiments
    :param commits: also read that many commits of the default branch, or ``"all"`` that the chosen branches and tags
        reach
    :param include: globs of stage addresses and output paths that become datasets; empty = all
    :param exclude: globs of those that do not
    :param subfolder: only what is below this folder of the repository
    :param title_template: of the datasets, with any of ``{project}``, ``{stage}``, ``{folder}``, ``{repository}``
    :param remote: name of the DVC remote that storage addresses lead to, in place of the default one
    :param remote_metrics: metrics that only a storage holds are fetched, where the operator says how to read it
    :param webhook: name of a secret in the portal's configuration; who has it may ask for a harvest
    :param push: the repository is not fetched; somebody who can reach it sends its records (``ckan-mlops push``)
    :param mail_reports: whoever created the source gets the report of each harvest that wrote something or failed
    :param approval: a harvest writes nothing until a person approved its plan
    :param credential: name of a credential in the portal's configuration
    :param private_datasets: the datasets are seen by their organization only
    :param tags_added: CKAN tags, and ``groups_added`` CKAN groups, of every dataset
    :param previews: a worker looks whether the files are in their storage, and makes previews of them
    :param mlflow_server: name of a server in the portal's configuration, ``mlflow_experiment`` a name on it
    """

    branches: tuple[str, ...] = ("*",)
    git_tags: tuple[str, ...] = ("*",)
    experiments: bool = False
    commits: int | Literal["all"] = 0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    subfolder: str = ""
    title_template: str = ""
    remote: str = ""
    remote_metrics: bool = False
    approval: bool = False
    webhook: str = ""
    push: bool = False
    mail_reports: bool = False
    credential: str = ""
    previews: bool = False
    private_datasets: bool = False
    tags_added: tuple[str, ...] = ()
    groups_added: tuple[str, ...] = ()
    mlflow_server: str = ""
    mlflow_experiment: str = ""


OPTIONS = tuple(each.name for each in fields(SourceConfig))


#: Options that name something that the operator configures, and what is said where it is not.
_CONFIGURED = {
    "credential": said(
        'credential: no credential named "{name}" is configured in this portal; ask its operator, or leave the option '
        "out for a public repository"
    ),
    "webhook": said(
        'webhook: no webhook named "{name}" is configured in this portal; ask its operator, or leave the option out'
    ),
    "mlflow_server": said(
        'mlflow_server: no MLflow server named "{name}" is configured in this portal; ask its operator, or leave the '
        "option out"
    ),
}


def parse(text: str | None, *, configured: Mapping[str, Iterable[str]] | None = None) -> SourceConfig:
    """The configuration that ``text`` (JSON, or nothing for the defaults) says.

    :param configured: option → the names that the operator configured; an option that is not in it is not checked
    :raises ConfigError: naming the first option that is wrong
    """
    data = _load(text)
    for key in data:
        if key not in OPTIONS:
            raise ConfigError(_unknown(key))
    values = {key: _CHECKS[key](key, value) for key, value in data.items()}
    config = SourceConfig(**values)
    for option, names in (configured or {}).items():
        name = getattr(config, option)
        if name and name not in set(names):
            raise ConfigError(_CONFIGURED[option].format(name=line(name, 100)))
    if not any((config.branches, config.git_tags, config.experiments, config.commits)):
        raise ConfigError(
            'branches, git_tags: nothing would be read; give at least one glob, as in "branches": ["main"]'
        )
    if config.remote_metrics and config.push:
        raise ConfigError(
            "remote_metrics: not for a repository whose records are sent, for nothing proves that the sender may read "
            "the storage; leave the option out"
        )
    if config.mlflow_experiment and not config.mlflow_server:
        raise ConfigError("mlflow_experiment: name the server too, with mlflow_server")
    return config


def _load(text: str | None) -> dict[str, Any]:
    if text is None or not text.strip():
        return {}
    if len(text) > MAX_CONFIG:
        raise ConfigError(f"the configuration is longer than {MAX_CONFIG:,} characters")
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f'not JSON, line {error.lineno}, column {error.colno}: {error.msg}; an example: {{"branches": ["main"]}}'
        ) from None
    except RecursionError:
        raise ConfigError("not JSON that can be read: nested too deeply") from None
    if not isinstance(data, dict):
        raise ConfigError('it must be a JSON object, as in {"branches": ["main"], "git_tags": ["v*"]}')
    return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for key, value in pairs:
        if key in data:
            raise ConfigError(f"{line(key, 50)}: the option is given twice")
        data[key] = value
    return data


def _unknown(key: str) -> str:
    if _SECRET_KEY.search(key):
        return f"{line(key, 50)}: secrets are refused, for {_REMEDY}"
    close = [_RENAMED[key]] if key in _RENAMED else difflib.get_close_matches(key, OPTIONS, 1)
    hint = f"did you mean {close[0]}?" if close else f"the options are {', '.join(OPTIONS)}"
    return f"{line(key, 50)}: there is no such option; {hint}"


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(f'{key}: must be text, as in "{key}": "…"')
    if len(value) > MAX_ITEM:
        raise ConfigError(f"{key}: longer than {MAX_ITEM} characters")
    if _SECRET_VALUE.search(value) or (key not in _GLOBS and _KEY_LIKE.fullmatch(value.strip())):
        raise ConfigError(f"{key}: this looks like a password or token, which is refused, for {_REMEDY}")
    if value != line(value, MAX_ITEM):
        raise ConfigError(f"{key}: holds control characters, or blanks at its ends")
    return value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ConfigError(f'{key}: must be a list of texts, as in "{key}": ["…"]')
    if len(value) > MAX_ITEMS:
        raise ConfigError(f"{key}: more than {MAX_ITEMS} items")
    items = tuple(_text(key, item) for item in value)
    if not all(items):
        raise ConfigError(f"{key}: holds an empty text")
    return items


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{key}: must be true or false")
    return value


def _commits(key: str, value: Any) -> int | Literal["all"]:
    if value == "all":
        return "all"
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COMMITS:
        raise ConfigError(f'{key}: must be a number from 0 to {MAX_COMMITS:,}, or "all"')
    return value


def _template(key: str, value: Any) -> str:
    text = _text(key, value)
    unknown = sorted(set(re.findall(r"\{([^{}]*)\}", text)) - set(TITLE_FIELDS))
    if unknown or re.sub(r"\{[^{}]*\}", "", text).strip("{}") != re.sub(r"\{[^{}]*\}", "", text):
        names = ", ".join(f"{{{name}}}" for name in TITLE_FIELDS)
        raise ConfigError(f"{key}: may hold {names} and words, no other braces")
    if text and "{stage}" not in text:
        raise ConfigError(f"{key}: needs {{stage}}, or every dataset would have the same title")
    return text


def _folder(key: str, value: Any) -> str:
    text = _text(key, value).strip("/")
    if ".." in text.split("/") or "\\" in text:
        raise ConfigError(f"{key}: must be a folder inside the repository, as in data/raw, without ..")
    return text


def _name(key: str, value: Any) -> str:
    text = _text(key, value)
    if text and not _NAME.fullmatch(text):
        raise ConfigError(f"{key}: must be a name: letters, digits, . _ -")
    return text


def _names(key: str, value: Any) -> tuple[str, ...]:
    return tuple(_name(key, item) for item in _texts(key, value))


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "branches": _texts,
    "git_tags": _texts,
    "experiments": _flag,
    "commits": _commits,
    "include": _texts,
    "exclude": _texts,
    "subfolder": _folder,
    "title_template": _template,
    "remote": _text,
    "remote_metrics": _flag,
    "approval": _flag,
    "webhook": _name,
    "push": _flag,
    "mail_reports": _flag,
    "credential": _name,
    "private_datasets": _flag,
    "tags_added": _texts,
    "groups_added": _names,
    "mlflow_server": _name,
    "mlflow_experiment": _text,
    "previews": _flag,
}
