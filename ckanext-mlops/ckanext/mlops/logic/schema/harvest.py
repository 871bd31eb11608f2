"""Input schemas of the actions of harvests and pushes."""

from __future__ import annotations

from ckan.logic.schema import validator_args
from ckan.types import Schema, Validator, ValidatorFactory

from ckanext.mlops.logic.schema.common import MAX_NOTE, MAX_PAGE, at_most, between

HAPPENED = ("added", "changed", "unchanged", "retired", "failed", "waiting", "held")


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


@validator_args
def repository_push(not_empty: Validator, unicode_safe: Validator) -> Schema:
    """``id`` of a harvest source; ``records``, checked when it is known whose they must be."""
    return {"id": [not_empty, unicode_safe], "records": [not_empty]}
