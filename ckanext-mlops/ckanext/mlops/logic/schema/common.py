"""What the input schemas of the actions have in common: bounds, validators, an object, a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckan.logic.schema import validator_args
from ckan.plugins import toolkit as tk
from ckan.types import Schema, Validator, ValidatorFactory

MAX_PAGE = 1000
MAX_NOTE = 2000
MAX_TARGET = 1000


def between(low: int, high: int) -> Callable[[Any], int]:
    """A validator: a whole number from ``low`` to ``high``."""

    def validate(value: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError, OverflowError):
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


def texts(value: Any) -> list[str]:
    """A validator: a list of texts, also from one text (a query's argument that is given once)."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
        raise tk.Invalid(tk._("Must be a list of texts"))
    if len(values) > MAX_PAGE or any(len(each) > MAX_TARGET for each in values):
        raise tk.Invalid(tk._("Is too long"))
    return [each for each in values if each.strip()]


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
