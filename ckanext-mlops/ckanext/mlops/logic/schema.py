"""Input schemas of the actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckan.logic.schema import validator_args
from ckan.plugins import toolkit as tk
from ckan.types import Schema, Validator, ValidatorFactory

RELATIONS = ("produced", "trained_on", "evaluated_on", "used")
LINK_KINDS = ("experiment", "run")
DIRECTIONS = ("both", "upstream", "downstream")
MAX_DEPTH = 20
MAX_NODES = 2000
MAX_PAGE = 1000
MAX_NOTE = 2000


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
def lineage_show(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, one_of: ValidatorFactory
) -> Schema:
    """``id`` of a dataset; ``direction``, ``depth`` in steps, ``max_nodes`` in the answer."""
    return {
        "id": [not_empty, unicode_safe],
        "direction": [default("both"), one_of(DIRECTIONS)],
        "depth": [default(5), between(1, MAX_DEPTH)],
        "max_nodes": [default(200), between(1, MAX_NODES)],
    }


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
        "kind": [default("run"), one_of(LINK_KINDS)],
        "target": [not_empty, unicode_safe],
        "relation": [default("used"), one_of(RELATIONS)],
        "version": [ignore_missing, unicode_safe],
        "note": [default(""), unicode_safe, at_most(MAX_NOTE)],
    }


@validator_args
def mlflow_sync(ignore_missing: Validator, unicode_safe: Validator) -> Schema:
    """``server`` of the configuration; all of them when missing."""
    return {"server": [ignore_missing, unicode_safe]}
