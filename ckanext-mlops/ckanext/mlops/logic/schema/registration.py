"""Input schemas of the actions on registrations."""

from __future__ import annotations

from typing import Any

from ckan.logic.schema import validator_args
from ckan.plugins import toolkit as tk
from ckan.types import Schema, Validator, ValidatorFactory

from ckanext.mlops.harvesting import repositories
from ckanext.mlops.logic import validators
from ckanext.mlops.logic.schema.common import MAX_TARGET, at_most

MAX_ADDRESS = 2000


def _address(value: str) -> str:
    # Whether a folder of this machine may be read is for the operator's policy to say, when it is read.
    return value if value.startswith("/") else validators.repository_url(value)


def _credential(value: str) -> str:
    if value and value not in repositories.credential_names():
        raise tk.Invalid(tk._("No credential of that name is configured in this portal; ask its operator"))
    return value


def _fields(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise tk.Invalid(tk._("Must be a dictionary of fields"))
    return value


@validator_args
def create(not_empty: Validator, unicode_safe: Validator, strip_value: Validator, default: ValidatorFactory) -> Schema:
    """``url`` of a repository; ``path`` and ``revision`` in it; name of a ``credential``."""
    text = [default(""), unicode_safe, strip_value, at_most(MAX_TARGET)]
    return {
        "url": [not_empty, unicode_safe, strip_value, at_most(MAX_ADDRESS), _address],
        "path": list(text),
        "revision": list(text),
        "credential": [*text, _credential],
    }


@validator_args
def register(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``id`` of a registration; ``package``, fields that the person gave."""
    return {"id": [not_empty, unicode_safe], "package": [default({}), _fields]}


@validator_args
def content_find(not_empty: Validator, unicode_safe: Validator, default: ValidatorFactory) -> Schema:
    """``hash`` of a content; a dataset that is left out."""
    return {
        "hash": [not_empty, unicode_safe, at_most(100)],
        "without": [default(""), unicode_safe, at_most(MAX_TARGET)],
    }


@validator_args
def source_add(not_empty: Validator, unicode_safe: Validator) -> Schema:
    """``id`` of a dataset; the ``dataset`` that it was made from."""
    return {"id": [not_empty, unicode_safe], "dataset": [not_empty, unicode_safe, at_most(MAX_TARGET)]}
