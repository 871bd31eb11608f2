"""Input schemas of the actions that write datasets."""

from __future__ import annotations

import json
from typing import Any

from ckan.logic.schema import validator_args
from ckan.plugins import toolkit as tk
from ckan.types import Schema, Validator, ValidatorFactory

MAX_DATASETS = 500


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
def field(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """A field of a dataset, or of one of its resources."""
    return {
        "id": [not_empty, unicode_safe],
        "field": [not_empty, unicode_safe],
        "resource": [default(""), unicode_safe],
    }
