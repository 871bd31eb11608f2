"""Input schemas of the actions of links between datasets and MLflow."""

from __future__ import annotations

import json
from typing import Any

from ckan.logic.schema import validator_args
from ckan.plugins import toolkit as tk
from ckan.types import Schema, Validator, ValidatorFactory

from ckanext.mlops.logic.schema.common import MAX_NOTE, MAX_PAGE, MAX_TARGET, at_most, between, page_of_dataset

RELATIONS = ("produced", "trained_on", "evaluated_on", "used")
LINK_KINDS = ("experiment", "run", "logged_model", "registered_model", "model_version")


@validator_args
def link_list(
    default: ValidatorFactory, ignore_missing: Validator, unicode_safe: Validator, one_of: ValidatorFactory
) -> Schema:
    """A page of a dataset's links, of one kind, origin and resource or of all; or their count alone."""
    origins = ("asserted", "inferred", "declared")
    return {
        **page_of_dataset(),
        "limit": [default(100), between(0, MAX_PAGE)],
        "kind": [ignore_missing, one_of(list(LINK_KINDS))],
        "origin": [ignore_missing, one_of(list(origins))],
        "resource": [ignore_missing, unicode_safe],
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
