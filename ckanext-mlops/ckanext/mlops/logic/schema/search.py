"""Input schemas of the actions behind finding."""

from __future__ import annotations

from ckan.logic.schema import validator_args
from ckan.types import Schema, Validator, ValidatorFactory

from ckanext.mlops.logic.schema.common import at_most, between

MAX_QUERY = 2000
MAX_NAME = 200


@validator_args
def suggest(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``q``, the word that is typed; ``limit``."""
    return {"q": [not_empty, unicode_safe, at_most(MAX_QUERY)], "limit": [default(15), between(1, 30)]}


@validator_args
def similar(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a dataset; ``limit``."""
    return {"id": [not_empty, unicode_safe], "limit": [default(5), between(1, 20)]}


@validator_args
def saved_search(
    not_missing: Validator, unicode_safe: Validator, default: ValidatorFactory, boolean_validator: Validator
) -> Schema:
    """``query`` of the address of a search page; ``name``; whether to ``mail``."""
    return {
        "query": [not_missing, unicode_safe, at_most(MAX_QUERY)],
        "name": [default(""), unicode_safe, at_most(MAX_NAME)],
        "mail": [default(True), boolean_validator],
    }


@validator_args
def organization_health(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, boolean_validator: Validator
) -> Schema:
    """``id`` of an organization; after how many ``days`` data is stale; whether to look for ``gaps``; ``limit``."""
    return {
        "id": [not_empty, unicode_safe],
        "days": [default(180), between(1, 36_500)],
        "gaps": [default(True), boolean_validator],
        "limit": [default(100), between(1, 1000)],
    }
