"""Template helpers of lists of datasets: cards, descriptions, facets, orders."""

from __future__ import annotations

import datetime
import html
import textwrap
import threading
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

import nh3
from ckan.plugins import toolkit as tk
from flask import current_app, request
from markdown import Markdown  # type: ignore[import-untyped]
from markupsafe import Markup

from ckanext.mlops.logic.reader import context_of_request
from ckanext.mlops.search import freshness
from ckanext.mlops.search.cards import Card, cards
from ckanext.mlops.search.document import COMMITTED
from ckanext.mlops.search.query import compared, sort_options

#: Facets of which one value is a choice: what has no version has none.
_NEVER_ALL = (freshness.FIELD,)
_VALUE = "mlops-value-of-a-facet"
_LONG_NOTES = 5000
#: One for each thread.
_parsers = threading.local()


def mlops_prepare_cards(packages: Sequence[Mapping[str, Any]]) -> None:
    """Look up at once what :func:`mlops_card` tells of each dataset of a page, with the numbers searched for."""
    prepared: dict[str, Card] = tk.g.setdefault("mlops_cards", {})
    numbers = compared(request.args.get("q", ""))
    asked = [each for each in packages if each.get("id") and each["id"] not in prepared]
    prepared |= cards(context_of_request(), asked, numbers)


def mlops_card(package: Mapping[str, Any]) -> Markup:
    """What a dataset of a list tells at a glance; nothing where no list prepared it, or there is nothing of ours."""
    prepared: dict[str, Card] = tk.g.get("mlops_cards", {})
    card = prepared.get(str(package.get("id")))
    if card is None or not (card.repository or card.versions or card.used_by or card.runs):
        return Markup()
    language = str(tk.h.lang())
    age = _age(language, card.newest) if card.newest else ""
    render = _card.__wrapped__ if tk.config["debug"] else _card
    return render(language, card, age)


@lru_cache(maxsize=5000)
def _card(language: str, card: Card, age: str) -> Markup:
    """A card depends on nothing else: many pages show the same ones."""
    counts = {
        "files": card.files or None,
        "rows" if card.all_rows else "more rows": card.rows,
        "versions": card.versions or None,
        "used by": card.used_by or None,
        "runs": card.runs or None,
    }
    said = {what: _counted(language, what, number) for what, number in counts.items() if number is not None}
    said["place"] = _place(language)
    size = "" if card.size is None else _size(language, card.size)
    # Not a snippet: to give each its own context would cost more than to render it.
    template: Any = current_app.jinja_env.get_template("mlops/snippets/card.html").module
    return Markup(template.card(card, said, size, age))  # noqa: S704 our own


@lru_cache(maxsize=5000)
def _counted(_language: str, what: str, number: int) -> str:
    """The same few numbers stand on most cards."""
    said = {
        "files": lambda: tk.ungettext("{n} file", "{n} files", number),
        "rows": lambda: tk.ungettext("{n} row", "{n} rows", number),
        "more rows": lambda: tk._("more than {n} rows"),
        "versions": lambda: tk.ungettext("{n} version", "{n} versions", number),
        "used by": lambda: tk.ungettext("used by {n} dataset", "used by {n} datasets", number),
        "runs": lambda: tk.ungettext("{n} MLflow run", "{n} MLflow runs", number),
    }
    return str(said[what]()).format(n=tk.h.localised_number(number))


@lru_cache(maxsize=100)
def _place(_language: str) -> str:
    return str(tk._("Repository and stage"))


@lru_cache(maxsize=5000)
def _size(_language: str, size: int) -> str:
    """A card is made anew when anything of it changes; its size seldom does."""
    return str(tk.h.localised_filesize(size))


def _age(language: str, moment: datetime.datetime) -> str:
    """How old the newest version is, as CKAN says it; of what is some days old, the words are kept for a day."""
    days = (datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - moment).days
    return (_age_in_days if days > 2 else _age_in_days.__wrapped__)(language, moment, days)


@lru_cache(maxsize=5000)
def _age_in_days(_language: str, moment: datetime.datetime, _days: int) -> str:
    return str(tk._("newest {when}").format(when=tk.h.time_ago_from_timestamp(moment)))


def markdown_extract(text: str | None, extract_length: int = 190) -> str:
    """The same as CKAN's own, for each dataset of each list: what came out is kept, and the parser, too.

    CKAN builds a parser of Markdown for each text, which takes half of the time.
    """
    if not text:
        return ""
    extract = _extract if len(text) <= _LONG_NOTES else _extract.__wrapped__
    return extract(text, extract_length)


@lru_cache(maxsize=2000)
def _extract(text: str, extract_length: int) -> str:
    parser = getattr(_parsers, "markdown", None)
    if parser is None:
        parser = _parsers.markdown = Markdown()
    plain = html.unescape(nh3.clean(parser.reset().convert(text), tags=set()))
    if not extract_length or len(plain) < extract_length:
        return plain
    return textwrap.shorten(plain, width=extract_length, placeholder="...")


def mlops_sort_options(sorting: list[tuple[str, str]], query: str | None) -> list[tuple[str, str]]:
    """The orders that the search form offers: those of the metrics that the search compares come first."""
    return [*sort_options(query or ""), *sorting, (tk._("Newest version"), f"{COMMITTED} desc")]


def mlops_facet_is_of_use(name: str, search_facets: Mapping[str, Any]) -> bool:
    """Whether a facet has something to choose, or was chosen."""
    items = search_facets.get(name, {}).get("items", ())
    return len(items) > 1 or name in request.args or bool(items and name in _NEVER_ALL)


def mlops_facet_links(
    name: str, search_facets: Mapping[str, Any], extras: Any = None, alternative_url: str | None = None
) -> list[tuple[dict[str, Any], str]]:
    """The values of a facet, each with the address that chooses it or gives it up, as CKAN's page has it."""
    items = tk.h.get_facet_items_dict(name, search_facets)
    if name == freshness.FIELD:  # by time, not by number
        items.sort(key=lambda item: list(freshness.RANGES).index(item["name"]))
    with_value = tk.h.add_url_param(new_params={name: _VALUE}, extras=extras, alternative_url=alternative_url)
    return [
        (
            item,
            tk.h.remove_url_param(name, item["name"], extras=extras, alternative_url=alternative_url)
            if item["active"]
            else with_value.replace(_VALUE, quote_plus(item["name"])),
        )
        for item in items
    ]
