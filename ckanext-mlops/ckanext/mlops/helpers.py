"""Template helpers: what the boxes of dataset and resource pages show."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote_plus

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from flask import current_app, request
from markupsafe import Markup, escape

from ckanext.mlops.catalog.weburl import repository_page
from ckanext.mlops.core.naming import repository_key, repository_slug
from ckanext.mlops.logic import dependents
from ckanext.mlops.logic.holders import holders
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.logic.versions import chain
from ckanext.mlops.model import versions
from ckanext.mlops.search import freshness
from ckanext.mlops.search.cards import Card, cards
from ckanext.mlops.search.document import COMMITTED, SHORT_HASH
from ckanext.mlops.search.query import compared, sort_options
from ckanext.mlops.tracking import servers as mlflow_servers
from ckanext.mlops.transfers import getting

RESOURCE_FIELDS = (
    "dvc_kind",
    "dvc_path",
    "dvc_storage_path",
    "dvc_remote",
    "dvc_values",
    "hash",
    "hash_algorithm",
    "size",
)
_SOURCE_FIELDS = (
    "dvc_repository",
    "dvc_revision",
    "dvc_commit",
    "dvc_stage",
    "dvc_command",
    "dvc_retired",
    "dvc_moved_from",
    "dvc_moved_to",
    "dvc_moved_why",
    "derived_from",
    "mlflow_experiment",
)
# Fields that scheming's page shows outside of that table.
#: Uploaded files of a dataset whose contents its page looks up.
_LOOKED_UP = 20
_ELSEWHERE = ("id", "title", "name", "notes", "tag_string", "license_id", "owner_org")
# Page of a commit on hosts whose layout is known, by a label of the host's name.
_COMMIT_PAGES = (
    (re.compile(r"^(www\.)?github\."), "/commit/"),
    (re.compile(r"(^|\.)gitlab\."), "/-/commit/"),
    (re.compile(r"^(www\.)?bitbucket\.org$"), "/commits/"),
    (re.compile(r"^(codeberg\.org|(.*\.)?(gitea|forgejo)\.)"), "/commit/"),
)


#: Facets of which one value is a choice: what has no version has none.
_NEVER_ALL = (freshness.FIELD,)
_VALUE = "mlops-value-of-a-facet"
_LONG_NOTES = 5000
_constants: dict[tuple[Any, ...], Markup] = {}


@dataclass(frozen=True)
class Origins:
    """What a dataset was made from, as the reader may see it: ``hidden`` and ``absent`` are counted, never named."""

    shown: list[dict[str, str]] = field(default_factory=list)
    hidden: int = 0
    absent: int = 0


def mlops_has_source(package: Mapping[str, Any]) -> bool:
    """Whether there is anything to show in the box "DVC source"."""
    return any(package.get(name) for name in _SOURCE_FIELDS)


def mlops_origins(package: Mapping[str, Any]) -> Origins:
    """The entries of ``derived_from``, with links to the datasets that the reader may see."""
    entries = [each for each in package.get("derived_from") or () if isinstance(each, dict)]
    ids = [each["dataset"] for each in entries if each.get("dataset")]
    reader = Reader(_context())
    seen = reader.look(ids)
    shown: list[dict[str, str]] = []
    for entry in entries:
        label, origin = entry.get("label") or "", entry.get("origin") or ""
        if entry.get("dataset") in seen.visible:
            dataset = reader.packages[entry["dataset"]]
            url = tk.url_for("dataset.read", id=dataset.name)
            shown.append({"title": dataset.title or dataset.name, "url": url, "kind": "dataset", "origin": origin})
        elif not entry.get("dataset") and entry.get("url"):
            url = entry["url"] if tk.h.is_url(entry["url"]) else ""
            shown.append({"title": label or entry["url"], "url": url, "kind": "external", "origin": origin})
    return Origins(shown, len(seen.hidden), len(set(ids) - seen.visible - seen.hidden))


def mlops_dependents(package_id: str) -> dependents.Dependents:
    """What uses the dataset, as the reader may know of it."""
    return dependents.of(_context(), package_id)


def mlops_keeps_used() -> bool:
    """Whether a dataset that is used cannot be deleted."""
    return bool(tk.config[dependents.REFUSE])


def mlops_repository_label(url: str) -> str:
    """How people name a repository: ``github.com/o/r``; the last part of a local folder."""
    key = repository_key(url)
    return key.rsplit("/", 1)[-1] if key.startswith("file://") else key


def mlops_repository_id(url: str) -> str:
    """The part of the addresses of its pages here that names a repository."""
    return repository_slug(url)


def mlops_repository_page(url: str) -> str:
    """Where a browser finds the repository; ``""`` when nowhere."""
    return repository_page(url)


def mlops_commit_page(url: str, commit: str) -> str:
    """The page of a commit, on hosts whose layout is known; else ``""``."""
    host = repository_key(url).split("/", 1)[0].split(":", 1)[0]
    for pattern, path in _COMMIT_PAGES:
        if url and commit and pattern.search(host):
            return f"{repository_page(url)}{path}{commit}"
    return ""


def mlops_short_hash(value: str | None) -> str:
    """The first digits of a hash or commit, and DVC's mark of a folder."""
    text = str(value or "")
    return text[:SHORT_HASH] + (".dir" if text.endswith(".dir") else "")


def mlops_kind_label(kind: str) -> str:
    """What a file is for, for people."""
    labels = {"data": tk._("Data"), "model": tk._("Model"), "metrics": tk._("Metrics"), "plots": tk._("Plots")}
    return labels.get(kind, kind)


def mlops_version_count(package_id: str) -> int:
    """How many versions a dataset has, with those of the datasets that it goes on from."""
    package = model.Package.get(package_id)
    return versions.count(model.Session(), chain(_context(), package).ids) if package else 0


def mlops_fields(package: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of a harvested dataset that a person owns, for those who may edit it; nothing for others."""
    if not package.get("dvc_repository") or not tk.h.check_access("package_update", {"id": package["id"]}):
        return []
    return cast("list[dict[str, Any]]", tk.get_action("mlops_field_list")({}, {"id": package["id"]})["results"])


def mlops_dataset_link(name: str | None) -> dict[str, str]:
    """Title and address of a dataset that a field names by id or name; nothing when the reader may not see it."""
    package = model.Package.get(name) if name else None
    if package is None or not Reader(_context()).look([package.id]).visible:
        return {}
    return {"title": package.title or package.name, "url": tk.url_for("dataset.read", id=package.name)}


def mlops_visible_datasets(ids: Sequence[str]) -> list[Any]:
    """Those of the datasets that the reader may see: rows with ``name`` and ``title``."""
    reader = Reader(_context())
    return [reader.packages[each] for each in reader.visible(ids)]


def mlops_mlflow_server_choices(field: Mapping[str, Any]) -> list[dict[str, str]]:
    """The configured MLflow servers, for a form."""
    return [{"value": name} for name in mlflow_servers.names()]


def mlops_dataset_reference(value: str | None) -> str:
    """How a form names a dataset: by its name where the reader may see it, else by what is given."""
    if not value:
        return ""
    reader = Reader(_context())
    return str(reader.packages[value].name) if value in reader.look([value]).visible else value


def mlops_form_entries(name: str, data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entries of a repeating field in a form: as they were sent when it comes back with errors, else as stored."""
    sent: dict[str, dict[str, Any]] = {}
    for key in sorted(key for key in data if isinstance(key, str) and key.startswith(f"{name}-")):
        _, index, subfield = (*key.split("-", 2), "")[:3]
        if index.isdecimal() and subfield:
            sent.setdefault(index, {})[subfield] = data[key]
    stored = data.get(name)
    return list(sent.values()) or [each for each in stored or () if isinstance(each, dict)]


def mlops_filled_schema(schema: Mapping[str, Any], package: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without the dataset fields that have no value, for the table of additional information."""
    fields = [each for each in schema["dataset_fields"] if package.get(each["field_name"]) not in (None, "", [], {})]
    return {**schema, "dataset_fields": fields}


def mlops_has_additional_info(schema: Mapping[str, Any]) -> bool:
    """Whether any field of the schema stands in the table of additional information."""
    return any(
        each["field_name"] not in _ELSEWHERE and each.get("display_snippet", "") is not None
        for each in schema["dataset_fields"]
    )


def mlops_section_fields(fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The fields of a schema that go into the form's section "DVC and lineage"."""
    return [
        dict(each, form_snippet=each["mlops_form_snippet"])
        for each in fields
        if each.get("mlops_form_snippet") and each.get("form_snippet", "") is None
    ]


def mlops_prepare_cards(packages: Sequence[Mapping[str, Any]]) -> None:
    """Look up at once what :func:`mlops_card` tells of each dataset of a page, with the numbers searched for."""
    prepared: dict[str, Card] = tk.g.setdefault("mlops_cards", {})
    numbers = compared(request.args.get("q", ""))
    prepared |= cards(_context(), [each for each in packages if each.get("id") and each["id"] not in prepared], numbers)


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
    size = "" if card.size is None else str(tk.h.localised_filesize(card.size))
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


def _age(language: str, moment: datetime.datetime) -> str:
    """How old the newest version is, as CKAN says it; of what is some days old, the words are kept for a day."""
    days = (datetime.datetime.now(datetime.UTC).replace(tzinfo=None) - moment).days
    return (_age_in_days if days > 2 else _age_in_days.__wrapped__)(language, moment, days)


@lru_cache(maxsize=5000)
def _age_in_days(_language: str, moment: datetime.datetime, _days: int) -> str:
    return str(tk._("newest {when}").format(when=tk.h.time_ago_from_timestamp(moment)))


@tk.chained_helper
def markdown_extract(original: Callable[..., str], text: str, extract_length: int = 190) -> str:
    """CKAN's own, which parses Markdown for each dataset of each list: what came out is kept."""
    if not text or len(text) > _LONG_NOTES:
        return original(text, extract_length)
    return _extracts(original, text, extract_length)


@lru_cache(maxsize=2000)
def _extracts(original: Callable[..., str], text: str, extract_length: int) -> str:
    return original(text, extract_length)


def mlops_breakable(name: str) -> Markup:
    """A name whose line may end after a dot, dash, slash or underscore, and not within a word."""
    return Markup(re.sub(r"([._/-])(?=\w)", r"\1<wbr>", str(escape(name))))  # noqa: S704 escaped


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


def mlops_constant(template: str, **values: str) -> Markup:
    """A snippet that depends on nothing but the language and ``values``: rendered once for each."""
    key = (template, str(tk.h.lang()), *sorted(values.items()))
    if key not in _constants or tk.config["debug"]:
        _constants[key] = Markup(tk.render_snippet(template, values))  # noqa: S704 our own template
    return _constants[key]


def mlops_languages() -> list[tuple[Any, str]]:
    """The languages of the portal, each with the address of this page in it."""
    here = tk.h.current_url()
    return [(locale, f"{prefix}{here}") for locale, prefix in _languages(tk.config.get("ckan.root_path") or "")]


@lru_cache(maxsize=2)
def _languages(_root_path: str) -> list[tuple[Any, str]]:
    """What stands before a page's path in each language."""
    return [
        (locale, str(tk.h.url_for("/-", locale=locale.short_name)).removesuffix("/-"))
        for locale in tk.h.get_available_locales()
    ]


def mlops_overview() -> dict[str, Any]:
    """What the home page shows of the catalog; asked for once a page."""
    if "mlops_overview" not in tk.g:
        tk.g.mlops_overview = tk.get_action("mlops_overview")({}, {})
    return cast("dict[str, Any]", tk.g.mlops_overview)


def mlops_other_items(resource: Mapping[str, Any], schema: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """The values of a resource that no field of the schema and no box shows, as CKAN formats them."""
    known = {each["field_name"] for each in (schema or {}).get("resource_fields", ())} | set(RESOURCE_FIELDS)
    return cast(
        "list[tuple[str, Any]]",
        tk.h.format_resource_items([(key, value) for key, value in resource.items() if key not in known]),
    )


def mlops_get_data(package: dict[str, Any], version: str = "", path: str = "") -> getting.GetData:
    """The box "Get this data" of a dataset, a version of it, or one path: with what is in that file."""
    return getting.get_data(_context(), package, version, path)


def mlops_known_content(package: Mapping[str, Any], resource_id: str = "") -> list[dict[str, Any]]:
    """Where the catalog has the contents of a dataset's uploaded files elsewhere, for whoever may say so."""
    uploads = [
        each
        for each in package.get("resources") or ()
        if each.get("url_type") == "upload" and each.get("hash") and resource_id in ("", each.get("id"))
    ]
    if not uploads or not tk.h.check_access("package_update", {"id": package["id"]}):
        return []
    linked = {each.get("dataset") for each in package.get("derived_from") or ()}
    reader = Reader(_context())
    return [
        {**found, "file": each.get("name") or "", "linked": found["dataset"] in linked}
        for each in uploads[:_LOOKED_UP]
        for found in holders(reader, str(each["hash"]), limit=3, without=[package["id"]])
    ]


def _context() -> Context:
    user = tk.current_user
    found = {"user": user.name, "auth_user_obj": user} if user.is_authenticated else {"user": "", "auth_user_obj": None}
    return cast(Context, {"session": model.Session, **found})
