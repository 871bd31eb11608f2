"""Input schemas of the actions of versions and refs."""

from __future__ import annotations

from ckan.logic.schema import validator_args
from ckan.types import Schema, Validator, ValidatorFactory

from ckanext.mlops.logic.schema.common import MAX_PAGE, between, page_of_dataset


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
