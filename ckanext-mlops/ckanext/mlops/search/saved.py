"""A search as the address of its page has it, and as ``package_search`` takes it."""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import parse_qsl, urlencode

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context

_FIELD = re.compile(r"^[A-Za-z][\w.-]*$")
#: Of the page, not of the search.
_NOT_OF_IT = ("page", "sort")


def canonical(query: str) -> str:
    """The one way to write the query of a search page: no page, no order, nothing empty.

    :raises ckan.logic.ValidationError: it is none, or asks for everything
    """
    pairs = {
        (key, " ".join(value.split()))
        for key, value in parse_qsl(query.lstrip("?"))
        if _FIELD.match(key) and key not in _NOT_OF_IT and value.strip()
    }
    if not pairs:
        raise tk.ValidationError({"query": [tk._("Search for something first: this is every dataset")]})
    return urlencode(sorted(pairs))


def arguments(query: str) -> dict[str, Any]:
    """What ``package_search`` is asked for, as CKAN's search page asks it."""
    asked: dict[str, Any] = {"fq_list": ["+dataset_type:dataset"], "facet": "false", "include_private": True}
    for key, value in parse_qsl(query):
        if key == "q":
            asked["q"] = value
        elif key.startswith("ext_"):
            asked[key] = value
        else:
            text = value.replace("\\", "\\\\").replace('"', '\\"')
            asked["fq_list"].append(f'{key}:"{text}"')
    return asked


def described(query: str) -> str:
    """The search in words, for a person who gave it no name."""
    return ", ".join(value if key == "q" else value.rsplit("/", 1)[-1] for key, value in parse_qsl(query))[:200]


def found(user: model.User, query: str, ids: list[str]) -> set[str]:
    """Those of the datasets that the search finds for this person, as they may see now."""
    context = cast(Context, {"user": user.name, "auth_user_obj": user, "session": model.Session})
    asked = arguments(query)
    asked["fq_list"].append(f"id:({' OR '.join(ids)})")
    answer = tk.get_action("package_search")(context, {**asked, "fl": ["id"], "rows": len(ids)})
    return {each["id"] for each in answer["results"]}
