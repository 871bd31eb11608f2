"""Template helpers: what the boxes of dataset and resource pages show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from ckan import model
from ckan.plugins import toolkit as tk
from markupsafe import Markup, escape

from ckanext.mlops.catalog.weburl import repository_page
from ckanext.mlops.core.naming import repository_key, repository_slug
from ckanext.mlops.logic import dependents
from ckanext.mlops.logic.holders import holders
from ckanext.mlops.logic.reader import Reader, context_of_request
from ckanext.mlops.logic.versions import chain
from ckanext.mlops.model import versions
from ckanext.mlops.search.document import SHORT_HASH
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


#: Pixels: width of a histogram's bar with its gap, height of the highest one.
_BAR, _HIGH = 8, 22
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
    reader = Reader(context_of_request())
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
    return dependents.of(context_of_request(), package_id)


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


def mlops_column_type(kind: str | None) -> str:
    """What a column of a table holds, for people."""
    labels = {
        "integer": tk._("whole number"),
        "number": tk._("number"),
        "boolean": tk._("yes or no"),
        "date": tk._("date"),
    }
    return labels.get(kind or "", tk._("text"))


def mlops_moment(moment: Any) -> str:
    """Date and time in the reader's order; CKAN's has the month first in every language, and the year of the week."""
    time = tk.h.render_datetime(moment, with_hours=True).rpartition(", ")[2]
    return ", ".join(filter(None, (tk.h.render_datetime(moment), time)))


def mlops_version_count(package_id: str) -> int:
    """How many versions a dataset has, with those of the datasets that it goes on from."""
    package = model.Package.get(package_id)
    return versions.count(model.Session(), chain(context_of_request(), package).ids) if package else 0


def mlops_fields(package: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of a harvested dataset that a person owns, for those who may edit it; nothing for others."""
    if not package.get("dvc_repository") or not tk.h.check_access("package_update", {"id": package["id"]}):
        return []
    return cast("list[dict[str, Any]]", tk.get_action("mlops_field_list")({}, {"id": package["id"]})["results"])


def mlops_dataset_link(name: str | None) -> dict[str, str]:
    """Title and address of a dataset that a field names by id or name; nothing when the reader may not see it."""
    package = model.Package.get(name) if name else None
    if package is None or not Reader(context_of_request()).look([package.id]).visible:
        return {}
    return {"title": package.title or package.name, "url": tk.url_for("dataset.read", id=package.name)}


def mlops_visible_datasets(ids: Sequence[str]) -> list[Any]:
    """Those of the datasets that the reader may see: rows with ``name`` and ``title``."""
    reader = Reader(context_of_request())
    return [reader.packages[each] for each in reader.visible(ids)]


def mlops_mlflow_server_choices(field: Mapping[str, Any]) -> list[dict[str, str]]:
    """The configured MLflow servers, for a form."""
    return [{"value": name} for name in mlflow_servers.names()]


def mlops_dataset_reference(value: str | None) -> str:
    """How a form names a dataset: by its name where the reader may see it, else by what is given."""
    if not value:
        return ""
    reader = Reader(context_of_request())
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


def mlops_breakable(name: str) -> Markup:
    """A name whose line may end after a dot, dash, slash or underscore, and not within a word."""
    return Markup(re.sub(r"([._/-])(?=\w)", r"\1<wbr>", str(escape(name))))  # noqa: S704 escaped


def mlops_histogram(histogram: Sequence[tuple[float, int]]) -> Markup:
    """A drawing of how often a column's numbers fall between two edges: (lower edge, count) each."""
    counts = [int(count) for _, count in histogram]
    most, wide = max(counts, default=0), len(counts) * _BAR
    label = escape(tk._("Counts from low to high: {counts}").format(counts=", ".join(map(str, counts))))
    heights = [round(_HIGH * count / most, 1) if most else 0 for count in counts]
    bars = "".join(
        f'<rect x="{place * _BAR}" y="{_HIGH + 2 - high}" width="{_BAR - 1}" height="{high}">'
        f"<title>{escape(edge)}: {count}</title></rect>"
        for place, ((edge, _), count, high) in enumerate(zip(histogram, counts, heights, strict=True))
    )
    box = f'viewBox="0 0 {wide} {_HIGH + 2}" width="{wide}" height="{_HIGH + 2}"'
    drawing = f'<svg class="mlops-histogram" {box} role="img" aria-label="{label}">{bars}</svg>'
    return Markup(drawing)  # noqa: S704 numbers, and what is escaped


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
    return getting.get_data(context_of_request(), package, version, path)


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
    reader = Reader(context_of_request())
    return [
        {**found, "file": each.get("name") or "", "linked": found["dataset"] in linked}
        for each in uploads[:_LOOKED_UP]
        for found in holders(reader, str(each["hash"]), limit=3, without=[package["id"]])
    ]
