"""Input schemas of the actions of what is known of MLflow."""

from __future__ import annotations

from ckan.logic.schema import validator_args
from ckan.plugins import toolkit as tk
from ckan.types import Schema, Validator, ValidatorFactory

from ckanext.mlops.logic.schema.common import MAX_PAGE, MAX_TARGET, at_most, between, texts
from ckanext.mlops.logic.schema.links import LINK_KINDS

RUN_FIELDS = ("name", "status", "started", "duration", "user", "git_commit")


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
def link_target_list(
    not_empty: Validator,
    unicode_safe: Validator,
    default: ValidatorFactory,
    ignore_missing: Validator,
    one_of: ValidatorFactory,
) -> Schema:
    """A page of what can be linked to on a ``server``: its ``kind``, what it is ``within``, ``q`` in its name."""
    return {
        "server": [not_empty, unicode_safe],
        "kind": [not_empty, one_of([kind for kind in LINK_KINDS if kind != "run"])],
        "within": [ignore_missing, unicode_safe, at_most(MAX_TARGET)],
        "target": [ignore_missing, unicode_safe, at_most(MAX_TARGET)],
        "q": [default(""), unicode_safe, at_most(MAX_TARGET)],
        "limit": [default(50), between(1, MAX_PAGE)],
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
        "order": [default("desc"), one_of(["asc", "desc"])],
        "metric": [ignore_missing, unicode_safe, at_most(MAX_TARGET)],
        "best": [default(False), boolean_validator],
        "goal": [ignore_missing, one_of(["max", "min"])],
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
def leaderboard(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, ignore_missing: Validator
) -> Schema:
    """``id`` of a dataset, a ``version`` of it, ``limit`` of runs for each metric."""
    return {
        "id": [not_empty, unicode_safe],
        "version": [ignore_missing, unicode_safe],
        "limit": [default(3), between(1, 20)],
    }
