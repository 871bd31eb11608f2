"""Input schemas of the actions on files and on access to them."""

from __future__ import annotations

from ckan.logic.schema import validator_args
from ckan.types import Schema, Validator, ValidatorFactory

from ckanext.mlops.logic.schema.common import MAX_NOTE, MAX_PAGE, MAX_TARGET, at_most, between


@validator_args
def at_version(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a dataset; ``version``, a branch, tag, commit or version id."""
    return {"id": [not_empty, unicode_safe], "version": [default(""), unicode_safe, at_most(MAX_TARGET)]}


@validator_args
def access_ask(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a dataset; ``reason`` for those who decide."""
    return {"id": [not_empty, unicode_safe], "reason": [default(""), unicode_safe, at_most(MAX_NOTE)]}


@validator_args
def access_decide(
    not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory, boolean_validator: Validator
) -> Schema:
    """``id`` of a request; whether to ``grant`` it; an ``answer`` for who asked."""
    return {
        "id": [not_empty, unicode_safe],
        "grant": [not_empty, boolean_validator],
        "answer": [default(""), unicode_safe, at_most(MAX_NOTE)],
    }


@validator_args
def audit_list(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a dataset; a page."""
    return {
        "id": [not_empty, unicode_safe],
        "limit": [default(100), between(1, MAX_PAGE)],
        "offset": [default(0), between(0, 2**31 - 1)],
    }


@validator_args
def profile_show(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a dataset, ``path`` of a file, ``version`` and another one ``against`` it."""
    return {
        "id": [not_empty, unicode_safe],
        "path": [not_empty, unicode_safe],
        "version": [default(""), unicode_safe, at_most(MAX_TARGET)],
        "against": [default(""), unicode_safe, at_most(MAX_TARGET)],
    }


@validator_args
def file_append(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a resource; ``key``, ``size`` and ``name`` of a file, ``hash`` of it, and where its part begins."""
    return {
        "id": [not_empty, unicode_safe],
        "key": [not_empty, unicode_safe, at_most(MAX_TARGET)],
        "size": [not_empty, between(1, 2**50)],
        "name": [default("data"), unicode_safe, at_most(MAX_TARGET)],
        "offset": [default(0), between(0, 2**50)],
        "hash": [default(""), unicode_safe, at_most(MAX_TARGET)],
    }
