"""What the input schemas of the actions have in common: bounds, validators, an object, a page."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from ckan.logic.schema import validator_args
from ckan.plugins import toolkit as tk
from ckan.types import Action, Context, DataDict, Schema, Validator, ValidatorFactory

MAX_PAGE = 1000
MAX_NOTE = 2000
MAX_TARGET = 1000
_NO_TEXT = re.compile("[\\0\ud800-\udfff]")


def validated(schema: Callable[[], Schema]) -> Callable[[Action], Action]:
    """CKAN's ``validate_action_data``, before which text is refused that neither a database nor an answer can hold.

    :raises ValidationError: an argument has a NUL character or half of a surrogate pair, at any depth
    """

    def decorate(action: Action) -> Action:
        inner = tk.validate_action_data(schema)(action)

        @functools.wraps(inner)
        def checked(context: Context, data_dict: DataDict) -> Any:
            bad: dict[str, Any] = {name: [tk._("Has a character that text cannot have")] for name in _unfit(data_dict)}
            if bad:
                raise tk.ValidationError(bad)
            return inner(context, data_dict)

        return checked

    return decorate


def _unfit(data_dict: DataDict) -> Iterator[str]:
    for name, value in data_dict.items():
        waiting = [name, value]
        while waiting:
            each = waiting.pop()
            if isinstance(each, dict):
                waiting += [*each, *each.values()]
            elif isinstance(each, (list, tuple)):
                waiting += each
            elif isinstance(each, str) and _NO_TEXT.search(each):
                yield _NO_TEXT.sub("?", name)
                break


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
