"""What the search box offers while a person types: datasets, and values of our facets, as far as the reader may see.

Two small requests to Solr, whatever the catalog's size: the datasets of that name, and one that counts the terms of our
fields which contain what was typed. Every term that is offered is a query as ``syntax`` reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pysolr  # type: ignore[import-untyped]
from ckan.lib.search import common
from ckan.lib.search.query import solr_literal
from ckan.plugins import toolkit as tk

from ckanext.mlops.search.syntax import MIN_PREFIX

MIN_LENGTH = 2
MIN_HASH = 4
MAX_LENGTH = 100
_DATASETS = 5
_PIECE = 10  # of CKAN's Solr schema
_EACH = 3
_HEX = re.compile(r"[0-9a-f]+")
_TERM = re.compile(r"""^(?P<key>[\w][\w./@-]*):"?(?P<value>[^"]*)"?$""")
_NAME = re.compile(r"^[\w][\w./@-]*$")
#: kind → Solr field of its values, in the order in which they are offered
KINDS = {
    "repository": "vocab_repository",
    "column": "vocab_column",
    "metric": "vocab_metric",
    "param": "vocab_param_name",
    "ref": "vocab_ref",
    "stage": "vocab_dvc_stage",
    "experiment": "vocab_experiment",
    "model": "vocab_model",
    "alias": "vocab_alias",
    "label": "vocab_label",
}
_HASHES = {"hash": "vocab_hash", "commit": "vocab_commit", "run": "vocab_run"}
_SAME = {"tag": "ref", "branch": "ref"}


@dataclass(frozen=True)
class Suggestion:
    """One line of the list.

    :param kind: ``dataset``, or what the term is a value of
    :param text: what people read
    :param term: what replaces the typed word; ``""`` for a dataset
    :param name: of the dataset; ``""`` for a term
    :param count: datasets that it finds
    """

    kind: str
    text: str
    term: str = ""
    name: str = ""
    count: int = 1


def suggest(typed: str, labels: list[str] | None, limit: int) -> list[Suggestion]:
    """What ``typed``, the word at the cursor, may become.

    :param labels: permission labels of the reader; None sees all
    """
    typed = typed.strip()[:MAX_LENGTH]
    if len(typed) < MIN_LENGTH:
        return []
    solr = common.make_connection()
    visible = ["+state:active", "+dataset_type:dataset", f"+site_id:{solr_literal(tk.config['ckan.site_id'])}"]
    if labels is not None:
        visible.append(f"+permission_labels:({' OR '.join(map(solr_literal, labels))})")
    try:
        match = _TERM.match(typed)
        if match:
            return _values(solr, visible, match["key"], match["value"], limit)
        return [*_datasets(solr, visible, typed), *_terms(solr, visible, typed)][:limit]
    except (pysolr.SolrError, OSError) as error:
        raise tk.ValidationError({"q": [tk._("The search index cannot be reached")]}) from error
    finally:
        solr.get_session().close()


def _datasets(solr: pysolr.Solr, visible: list[str], typed: str) -> Iterator[Suggestion]:
    # The index has pieces of names and titles up to a length; what is longer is compared here.
    text, piece = solr_literal(typed), solr_literal(typed[:_PIECE])
    named = f"title:{text}^4 OR name:{text}^4 OR title_ngram:{piece}^2 OR name_ngram:{piece}"
    rows = _DATASETS if len(typed) <= _PIECE else _DATASETS * 10
    found = solr.search(named, fq=visible, fl="name,title", rows=rows, facet="false", df="text")
    low = typed.lower()
    for each in [each for each in found.docs if rows == _DATASETS or low in _said(each)][:_DATASETS]:
        yield Suggestion("dataset", each.get("title") or each["name"], name=each["name"])


def _said(document: Mapping[str, Any]) -> str:
    return f"{document['name']} {document.get('title') or ''}".lower()


def _terms(solr: pysolr.Solr, visible: list[str], typed: str) -> Iterator[Suggestion]:
    found = _count(solr, visible, list(KINDS.values()), {"facet.contains": typed, "facet.contains.ignoreCase": "true"})
    for kind, field in KINDS.items():
        yield from _offered(kind, found.get(field, []), typed)
    content = typed.lower()
    if len(content) >= MIN_HASH and _HEX.fullmatch(content):
        found = _count(solr, visible, list(_HASHES.values()), {"facet.prefix": content})
        for kind, field in _HASHES.items():
            yield from _offered(kind, found.get(field, []), content)


def _values(solr: pysolr.Solr, visible: list[str], key: str, value: str, limit: int) -> list[Suggestion]:
    """Values of a field that was named already: ``column:Ag``, ``max_depth:``."""
    kind = _SAME.get(key, key)
    if kind in _HASHES:
        rest = {"facet.prefix": value.lower()}
        field = _HASHES[kind]
    elif kind in KINDS and kind not in ("metric", "param"):
        rest = {"facet.contains": value, "facet.contains.ignoreCase": "true"} if value else {}
        field = KINDS[kind]
    else:
        found = _count(solr, visible, ["vocab_param"], {"facet.prefix": f"{key}={value}"}, limit)
        pairs = ((each.partition("=")[2], count) for each, count in found.get("vocab_param", []))
        return [Suggestion("param", f"{key}: {each}", _term(key, each), count=count) for each, count in pairs if each]
    found = _count(solr, visible, [field], rest, limit)
    return list(_offered(kind, found.get(field, []), value, limit, key))


def _count(
    solr: pysolr.Solr, visible: list[str], fields: list[str], which: dict[str, str], limit: int = _EACH * 3
) -> dict[str, list[tuple[str, int]]]:
    """Field → its terms with their number of datasets, most first.

    ``enum`` walks through the terms and asks for the datasets only of those that fit, which is cheap for fields with
    many values; nothing of it is cached.
    """
    how = {"facet.method": "enum", "facet.enum.cache.minDf": 2**30, "facet.mincount": 1, "facet.limit": limit}
    options: dict[str, Any] = {"facet": "true", "facet.field": fields, "rows": 0, **how, **which}
    found = solr.search("*:*", fq=visible, **options).facets.get("facet_fields", {})
    return {field: list(zip(flat[::2], flat[1::2], strict=True)) for field, flat in found.items()}


def _offered(
    kind: str, counted: list[tuple[str, int]], typed: str, limit: int = _EACH, key: str = ""
) -> Iterator[Suggestion]:
    """Those that begin with what was typed come first."""
    low = typed.lower()
    order = sorted(counted, key=lambda each: not each[0].lower().startswith(low))
    for value, count in order[:limit]:
        if kind == "metric":
            term = f"{value}:>" if _NAME.match(value) else ""
        elif kind == "param":
            term = f"{value}:" if _NAME.match(value) else ""
        elif kind in _HASHES and len(value) < MIN_PREFIX:
            term = ""
        else:
            term = _term(key or kind, value)
        if term:
            yield Suggestion(kind, value, term, count=count)


def _term(key: str, value: str) -> str:
    """``key:value`` as the search box reads it; ``""`` where it cannot be said."""
    if '"' in value:
        return ""
    return f'{key}:"{value}"' if re.search(r"\s", value) else f"{key}:{value}"
