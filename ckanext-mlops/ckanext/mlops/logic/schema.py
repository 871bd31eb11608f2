"""Input schemas of the actions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ckan.logic.schema import validator_args
from ckan.plugins import toolkit as tk
from ckan.types import Schema, Validator, ValidatorFactory

RELATIONS = ("produced", "trained_on", "evaluated_on", "used")
LINK_KINDS = ("experiment", "run", "logged_model", "registered_model", "model_version")
RUN_FIELDS = ("name", "status", "started", "duration", "user", "git_commit")
HAPPENED = ("added", "changed", "unchanged", "retired", "failed", "waiting", "held")
DIRECTIONS = ("both", "upstream", "downstream")
MAX_DEPTH = 20
MAX_NODES = 2000
MAX_NODES_BRIEF = 20_000
MAX_NODE = 3000
MAX_IMPACT_DEPTH = 100
LEVELS = ("datasets", "files", "steps")
MAX_PAGE = 1000
MAX_NOTE = 2000
MAX_TARGET = 1000
MAX_DATASETS = 500


def between(low: int, high: int) -> Callable[[Any], int]:
    """A validator: a whole number from ``low`` to ``high``."""

    def validate(value: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise tk.Invalid(tk._("Must be a whole number")) from None
        if not low <= number <= high:
            raise tk.Invalid(tk._("Must be from {low} to {high}").format(low=low, high=high))
        return number

    return validate


def at_most(length: int) -> Callable[[Any], str]:
    """A validator: text of at most ``length`` characters."""

    def validate(value: Any) -> str:
        if len(value) > length:
            raise tk.Invalid(tk._("Must be at most {length} characters").format(length=length))
        return str(value)

    return validate


@validator_args
def object_show(not_empty: Validator, unicode_safe: Validator) -> Schema:
    """``id`` of one object."""
    return {"id": [not_empty, unicode_safe]}


@validator_args
def page_of_dataset(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a dataset, ``limit`` and ``offset`` of a page."""
    return {
        "id": [not_empty, unicode_safe],
        "limit": [default(100), between(1, MAX_PAGE)],
        "offset": [default(0), between(0, 2**31 - 1)],
    }


@validator_args
def link_list(ignore_missing: Validator, unicode_safe: Validator, one_of: ValidatorFactory) -> Schema:
    """A page of a dataset's links, of one kind, origin and resource or of all."""
    origins = ("asserted", "inferred", "declared")
    return {
        **page_of_dataset(),
        "kind": [ignore_missing, one_of(list(LINK_KINDS))],
        "origin": [ignore_missing, one_of(list(origins))],
        "resource": [ignore_missing, unicode_safe],
    }


@validator_args
def version_list(default: ValidatorFactory, boolean_validator: Validator) -> Schema:
    """A page of a dataset's versions; ``chain``: with those that it goes on from."""
    return {**page_of_dataset(), "chain": [default(True), boolean_validator]}


@validator_args
def version_diff(not_empty: Validator, unicode_safe: Validator) -> Schema:
    """``before`` and ``after``: ids of two versions."""
    return {"before": [not_empty, unicode_safe], "after": [not_empty, unicode_safe]}


@validator_args
def ref_list(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a dataset, ``limit`` of refs."""
    return {"id": [not_empty, unicode_safe], "limit": [default(200), between(1, MAX_PAGE)]}


@validator_args
def lineage_show(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, one_of: ValidatorFactory
) -> Schema:
    """``id`` of a node; ``direction``, ``depth``, ``max_nodes``, ``level``, ``at`` a moment, ``detail``."""
    return {
        "id": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "direction": [default("both"), one_of(list(DIRECTIONS))],
        "depth": [default(5), between(1, MAX_DEPTH)],
        "max_nodes": [default(200), between(1, MAX_NODES_BRIEF)],
        "level": [default("datasets"), one_of(list(LEVELS))],
        "at": [default(""), unicode_safe, at_most(MAX_TARGET)],
        "detail": [default("full"), one_of(["full", "brief"])],
    }


@validator_args
def lineage_view(ignore_missing: Validator, one_of: ValidatorFactory) -> Schema:
    """What a resource view of lineage keeps."""
    return {
        "level": [ignore_missing, one_of(list(LEVELS))],
        "direction": [ignore_missing, one_of(list(DIRECTIONS))],
        "depth": [ignore_missing, between(1, MAX_DEPTH)],
    }


@validator_args
def lineage_impact(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, one_of: ValidatorFactory
) -> Schema:
    """``id`` of a node; ``depth``, ``kind`` and ``organization`` of what is wanted, a page of it, ``format``."""
    return {
        "id": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "depth": [default(MAX_IMPACT_DEPTH), between(1, MAX_IMPACT_DEPTH)],
        "kind": [default(""), one_of(["", "dataset", "run", "model"])],
        "organization": [default(""), unicode_safe],
        "limit": [default(100), between(1, MAX_NODES)],
        "offset": [default(0), between(0, 2**31 - 1)],
        "format": [default("json"), one_of(["json", "csv"])],
    }


@validator_args
def lineage_path(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, boolean_validator: Validator
) -> Schema:
    """``start`` and ``end``, nodes; ``all`` ways or the shortest."""
    return {
        "start": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "end": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "all": [default(False), boolean_validator],
    }


@validator_args
def lineage_diff(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, one_of: ValidatorFactory
) -> Schema:
    """``id`` of a node; the moments ``before`` and ``after``; ``direction``, ``depth``, ``max_nodes``, ``level``."""
    return {
        "id": [not_empty, unicode_safe, at_most(MAX_NODE)],
        "before": [not_empty, unicode_safe, at_most(MAX_TARGET)],
        "after": [default(""), unicode_safe, at_most(MAX_TARGET)],
        "direction": [default("upstream"), one_of(list(DIRECTIONS))],
        "depth": [default(5), between(1, MAX_DEPTH)],
        "max_nodes": [default(200), between(1, MAX_NODES)],
        "level": [default("datasets"), one_of(list(LEVELS))],
    }


@validator_args
def lineage_coverage(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of an organization; ``limit`` of datasets of each gap."""
    return {"id": [not_empty, unicode_safe], "limit": [default(100), between(1, MAX_PAGE)]}


@validator_args
def link_create(
    not_empty: Validator,
    unicode_safe: Validator,
    default: ValidatorFactory,
    one_of: ValidatorFactory,
    ignore_missing: Validator,
) -> Schema:
    """A dataset, a server that the configuration names, and an experiment or run on it."""
    return {
        "id": [not_empty, unicode_safe],
        "server": [not_empty, unicode_safe],
        "kind": [default("run"), one_of(list(LINK_KINDS))],
        "target": [not_empty, unicode_safe, at_most(MAX_TARGET)],
        "relation": [default("used"), one_of(list(RELATIONS))],
        "version": [ignore_missing, unicode_safe],
        "resource": [ignore_missing, unicode_safe],
        "note": [default(""), unicode_safe, at_most(MAX_NOTE)],
    }


def link_dicts(value: Any) -> list[dict[str, Any]]:
    """A validator: JSON text of a list of links, each a dictionary."""
    try:
        found = json.loads(value)
    except (TypeError, ValueError, RecursionError):
        raise tk.Invalid(tk._("Must be a list of links as JSON")) from None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise tk.Invalid(tk._("Must be a list of links"))
    if not 0 < len(found) <= MAX_PAGE:
        raise tk.Invalid(tk._("From 1 to {limit} links in one call").format(limit=MAX_PAGE))
    return found


@validator_args
def link_create_many(not_empty: Validator) -> Schema:
    """``links`` as JSON text."""
    return {"links": [not_empty, link_dicts]}


@validator_args
def link_update(
    not_empty: Validator, unicode_safe: Validator, ignore_missing: Validator, one_of: ValidatorFactory
) -> Schema:
    """``id`` of a link and what changes."""
    return {
        "id": [not_empty, unicode_safe],
        "relation": [ignore_missing, one_of(list(RELATIONS))],
        "version": [ignore_missing, unicode_safe],
        "resource": [ignore_missing, unicode_safe],
        "note": [ignore_missing, unicode_safe, at_most(MAX_NOTE)],
    }


@validator_args
def hint_accept(not_empty: Validator, unicode_safe: Validator, ignore_missing: Validator) -> Schema:
    """``id`` of a hint; the ``version`` that it is, where several are possible."""
    return {"id": [not_empty, unicode_safe], "version": [ignore_missing, unicode_safe]}


@validator_args
def leaderboard(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, ignore_missing: Validator
) -> Schema:
    """``id`` of a dataset, a ``version`` of it, ``limit`` of runs for each metric."""
    return {
        "id": [not_empty, unicode_safe],
        "version": [ignore_missing, unicode_safe],
        "limit": [default(3), between(1, 20)],
    }


@validator_args
def mlflow_list(
    unicode_safe: Validator, default: ValidatorFactory, ignore_missing: Validator, boolean_validator: Validator
) -> Schema:
    """A page of what is known of a ``server``, or of all; ``q`` in its name; ``all``: what is not linked, too."""
    return {
        "id": [ignore_missing, unicode_safe],
        "server": [ignore_missing, unicode_safe],
        "q": [default(""), unicode_safe, at_most(MAX_TARGET)],
        "all": [default(False), boolean_validator],
        "limit": [default(100), between(1, MAX_PAGE)],
        "offset": [default(0), between(0, 2**31 - 1)],
    }


@validator_args
def run_search(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, ignore_missing: Validator
) -> Schema:
    """A ``server``, and a search in MLflow's own syntax."""
    return {
        "server": [not_empty, unicode_safe],
        "experiments": [ignore_missing, texts],
        "filter": [default(""), unicode_safe, at_most(2 * MAX_TARGET)],
        "order_by": [ignore_missing, texts],
        "limit": [default(50), between(1, 200)],
    }


@validator_args
def on_server(not_empty: Validator, unicode_safe: Validator) -> Schema:
    """``server`` and the ``name`` or id of something on it."""
    return {"server": [not_empty, unicode_safe], "name": [not_empty, unicode_safe, at_most(MAX_TARGET)]}


@validator_args
def mlflow_sync(
    ignore_missing: Validator, unicode_safe: Validator, default: ValidatorFactory, boolean_validator: Validator
) -> Schema:
    """``server`` of the configuration, all of them when missing; ``full`` reads every run again; ``due``: if due."""
    return {
        "server": [ignore_missing, unicode_safe],
        "full": [default(False), boolean_validator],
        "due": [default(False), boolean_validator],
    }


@validator_args
def run_list(
    not_empty: Validator,
    unicode_safe: Validator,
    default: ValidatorFactory,
    one_of: ValidatorFactory,
    ignore_missing: Validator,
    boolean_validator: Validator,
) -> Schema:
    """``id`` of a dataset; ``sort`` and ``order`` of its runs, a page of them; ``metric`` and ``goal`` of the best."""
    return {
        "id": [not_empty, unicode_safe],
        "sort": [default("started"), unicode_safe, run_sort],
        "order": [default("desc"), one_of(("asc", "desc"))],
        "metric": [ignore_missing, unicode_safe, at_most(MAX_TARGET)],
        "goal": [default("max"), one_of(("max", "min"))],
        "columns": [default(True), boolean_validator],
        "version": [ignore_missing, unicode_safe],
        "only": [ignore_missing, texts],
        "limit": [default(25), between(1, MAX_PAGE)],
        "offset": [default(0), between(0, 2**31 - 1)],
    }


def run_sort(value: str) -> str:
    """A validator: a column of the run table."""
    kind, _, name = value.partition(".")
    if value in RUN_FIELDS or (kind in ("metrics", "params") and name and len(name) <= MAX_TARGET):
        return value
    raise tk.Invalid(tk._("Must be one of {fields}, metrics.NAME or params.NAME").format(fields=", ".join(RUN_FIELDS)))


@validator_args
def field(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """A field of a dataset, or of one of its resources."""
    return {
        "id": [not_empty, unicode_safe],
        "field": [not_empty, unicode_safe],
        "resource": [default(""), unicode_safe],
    }


@validator_args
def harvest_report(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, one_of: ValidatorFactory
) -> Schema:
    """``id`` of a harvest job; ``what`` happened to the datasets, a page of them."""
    return {
        "id": [not_empty, unicode_safe],
        "what": [default(""), one_of(["", *HAPPENED])],
        "limit": [default(100), between(0, MAX_PAGE)],
        "offset": [default(0), between(0, 2**31 - 1)],
    }


@validator_args
def harvest_reject(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a harvest job; ``why`` its plan is rejected."""
    return {"id": [not_empty, unicode_safe], "why": [default(""), unicode_safe, at_most(MAX_NOTE)]}


@validator_args
def harvest_revert(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, boolean_validator: Validator
) -> Schema:
    """``id`` of a harvest job; ``partly``: what can be, when not all of it."""
    return {"id": [not_empty, unicode_safe], "partly": [default(False), boolean_validator]}


@validator_args
def harvest_preview(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a harvest source; ``limit`` of changes in the answer."""
    return {"id": [not_empty, unicode_safe], "limit": [default(100), between(1, MAX_PAGE)]}


def texts(value: Any) -> list[str]:
    """A validator: a list of texts, also from one text (a query's argument that is given once)."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise tk.Invalid(tk._("Must be a list of texts"))
    if len(values) > MAX_PAGE or any(len(each) > MAX_TARGET for each in values):
        raise tk.Invalid(tk._("Is too long"))
    return [each for each in values if each.strip()]


@validator_args
def repository_metrics(
    not_empty: Validator,
    unicode_safe: Validator,
    default: ValidatorFactory,
    one_of: ValidatorFactory,
    ignore_missing: Validator,
    boolean_validator: Validator,
) -> Schema:
    """``id`` of a repository; which columns and rows of its metrics, in which order, against which baseline."""
    return {
        "id": [not_empty, unicode_safe],
        "baseline": [ignore_missing, unicode_safe, at_most(MAX_TARGET)],
        "columns": [ignore_missing, texts],
        "where": [ignore_missing, texts],
        "sort": [ignore_missing, unicode_safe, at_most(MAX_TARGET)],
        "order": [default("desc"), one_of(("asc", "desc"))],
        "changed_only": [default(False), boolean_validator],
    }


def dataset_dicts(value: Any) -> list[dict[str, Any]]:
    """A validator: JSON text of a list of dictionaries, each with a name of its own."""
    try:
        found = json.loads(value)
    except (TypeError, ValueError, RecursionError):
        raise tk.Invalid(tk._("Must be a list of datasets as JSON")) from None
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise tk.Invalid(tk._("Must be a list of datasets"))
    if len(found) > MAX_DATASETS:
        raise tk.Invalid(tk._("At most {limit} datasets in one call").format(limit=MAX_DATASETS))
    for each in found:
        resources = each.get("resources") or []
        if not isinstance(resources, list) or not all(isinstance(one, dict) for one in resources):
            raise tk.Invalid(tk._("The resources of a dataset must be a list of dictionaries"))
    names = [each.get("name") for each in found if each.get("name")]
    if len(set(map(str, names))) < len(names):
        raise tk.Invalid(tk._("Two datasets of one call have the same name"))
    return found


@validator_args
def dataset_load(not_empty: Validator, default: ValidatorFactory, boolean_validator: Validator) -> Schema:
    """``datasets`` as JSON text; ``dry_run``."""
    return {"datasets": [not_empty, dataset_dicts], "dry_run": [default(False), boolean_validator]}


@validator_args
def repository_push(not_empty: Validator, unicode_safe: Validator) -> Schema:
    """``id`` of a harvest source; ``records``, checked when it is known whose they must be."""
    return {"id": [not_empty, unicode_safe], "records": [not_empty]}


@validator_args
def overview(default: ValidatorFactory) -> Schema:
    """``limit`` of each list."""
    return {"limit": [default(5), between(1, 50)]}
