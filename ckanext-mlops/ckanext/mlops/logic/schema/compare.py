"""Input schemas of the actions that compare: plots, versions and runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckan.logic.schema import validator_args
from ckan.plugins import toolkit as tk
from ckan.types import Schema, Validator

from ckanext.mlops.logic.schema.common import MAX_TARGET, at_most, texts

MAX_COMPARED = 10


def different(most: int) -> Callable[[Any], list[str]]:
    """A validator: a list of at most ``most`` texts, each once."""

    def validate(value: Any) -> list[str]:
        values = list(dict.fromkeys(texts(value)))
        if len(values) > most:
            raise tk.Invalid(tk._("Must be at most {n}").format(n=most))
        return values

    return validate


@validator_args
def plot_show(not_empty: Validator, unicode_safe: Validator, ignore_missing: Validator) -> Schema:
    """``id`` of a repository, name of a ``plot``, up to ten ``revisions``."""
    return {
        "id": [not_empty, unicode_safe],
        "plot": [not_empty, unicode_safe, at_most(MAX_TARGET)],
        "revisions": [ignore_missing, different(MAX_COMPARED)],
    }


@validator_args
def compare(not_empty: Validator) -> Schema:
    """``things``: two to ten versions and runs."""
    return {"things": [not_empty, different(MAX_COMPARED)]}
