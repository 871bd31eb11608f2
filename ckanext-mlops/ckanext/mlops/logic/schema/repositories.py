"""Input schemas of the actions of repositories and of the home page."""

from __future__ import annotations

from ckan.logic.schema import validator_args
from ckan.types import Schema, Validator, ValidatorFactory

from ckanext.mlops.logic.schema.common import MAX_TARGET, at_most, between, texts


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
        "order": [default("desc"), one_of(["asc", "desc"])],
        "changed_only": [default(False), boolean_validator],
    }


@validator_args
def overview(default: ValidatorFactory) -> Schema:
    """``limit`` of each list."""
    return {"limit": [default(5), between(1, 50)]}
