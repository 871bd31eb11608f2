"""What Solr gets of our fields. It works with CKAN's stock Solr schema: multi-valued facets are ``vocab_*``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ckan import model

from ckanext.mlops.catalog.roles import role
from ckanext.mlops.core import naming
from ckanext.mlops.search import numbers
from ckanext.mlops.search.facts import Facts, facts

SHORT_HASH = 8
COMMITTED = "mlops_committed_date"
REPOSITORY = "mlops_repository"
#: Lucene's limit of one indexed term is 32,766 bytes of UTF-8; a dataset with a longer one cannot be indexed at all.
MAX_TERM = 32_000
MAX_VALUES = 2000
#: Stored only, or cut into words by Solr.
_NO_TERMS = {"data_dict", "validated_data_dict", "title", "notes", "text", "res_name", "res_description"}
_MAX_TEXT = 200_000


def index_dataset(document: dict[str, Any]) -> dict[str, Any]:
    """The Solr document of a dataset, with our facets and words, and without what would make it unindexable."""
    package = json.loads(document.get("validated_data_dict") or "{}")
    for key in ("derived_from", "extras_derived_from"):
        document.pop(key, None)
    resources = [each for each in package.get("resources") or () if isinstance(each, dict)]
    known = facts(model.Session(), package["id"]) if package.get("id") else Facts()
    if package.get("dvc_repository"):
        document[REPOSITORY] = naming.repository_slug(package["dvc_repository"])
    for key, values in _facets(package, resources, known).items():
        if distinct := list(dict.fromkeys(filter(None, values)))[:MAX_VALUES]:
            document[f"vocab_{key}"] = distinct
    for name, number in known.numbers.items():
        if number == number:  # not NaN
            document[numbers.field(name)] = numbers.sortable(number)
    if known.committed:
        document[COMMITTED] = known.committed
    words = list(_words(package, resources))
    if document.get("res_format"):
        # A folder has no format, and the facet "Formats" no use for an empty one.
        document["res_format"] = [each for each in document["res_format"] if each]
    if words:
        document["text"] = [*_list(document.get("text")), " ".join(dict.fromkeys(words))[:_MAX_TEXT]]
    return {key: _bounded(key, value) for key, value in document.items()}


def _facets(package: Mapping[str, Any], resources: list[dict[str, Any]], known: Facts) -> dict[str, list[str]]:
    repository, stage = str(package.get("dvc_repository") or ""), str(package.get("dvc_stage") or "")
    texts = {name: [str(each.get(name) or "") for each in resources] for name in ("hash", "dvc_path", "dvc_kind")}
    return {
        "repository": [naming.repository_key(repository)] if repository else [],
        "dvc_stage": [stage],
        "dvc_kind": sorted(texts["dvc_kind"]),
        "role": [role(stage, str(package.get("dvc_command") or ""), texts["dvc_kind"]) if stage else ""],
        "remote": sorted(_remote(each) for each in resources),
        "path": texts["dvc_path"],
        "hash": [*texts["hash"], *known.hashes],
        "ref": known.refs,
        "commit": [str(package.get("dvc_commit") or ""), *known.commits],
        "param": known.params,
        "param_name": known.param_names,
        "metric": known.metrics,
        "label": known.labels,
        # What files on request hold is for those who may take them.
        "column": [] if package.get("data_access") == "on_request" else known.columns,
        "run": known.runs,
        "experiment": [str(package.get("mlflow_experiment") or ""), *known.experiments],
        "model": known.models,
        "alias": known.aliases,
        "owner": [str(package.get("maintainer") or package.get("author") or "")],
        "year": [known.committed[:4]],
    }


def _remote(resource: Mapping[str, Any]) -> str:
    """The kind of storage that holds a file: its scheme; ``local`` for a folder of somebody's machine."""
    place = str(resource.get("dvc_storage_path") or "")
    return (urlsplit(place).scheme or "local") if place else ""


def _words(package: dict[str, Any], resources: list[dict[str, Any]]) -> Iterator[str]:
    """Words that a reader may look for; package fields are searched already, as CKAN's ``extras_*``."""
    for resource in resources:
        content = str(resource.get("hash") or "")
        if content:
            yield from (content, content.removesuffix(".dir"), content[:SHORT_HASH])
        for key in ("dvc_path", "dvc_storage_path"):
            path = str(resource.get(key) or "")
            if path:
                yield from (path, path.rsplit("/", 1)[-1])
    commit = str(package.get("dvc_commit") or "")
    if commit:
        yield commit[:SHORT_HASH]
    for entry in package.get("derived_from") or ():
        if isinstance(entry, dict):
            yield from (str(entry[key]) for key in ("label", "url") if entry.get(key))


def _bounded(key: str, value: Any) -> Any:
    if key in _NO_TERMS or key.startswith(("extras_", "res_extras_")):
        return value
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, list):
        return [_cut(each) if isinstance(each, str) else each for each in value]
    return value


def _cut(text: str) -> str:
    if len(text) * 4 <= MAX_TERM:
        return text
    return text.encode()[:MAX_TERM].decode(errors="ignore")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
