"""Pages of lineage: of a dataset, a file of it, a version of it; and the same as data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from ckan.plugins import toolkit as tk
from flask import Blueprint, Response, jsonify, request

from ckanext.mlops.lineage_page import export, page
from ckanext.mlops.lineage_page.state import State
from ckanext.mlops.views.datasets import dataset_or_abort

mlops_lineage = Blueprint("mlops_lineage", __name__)


@mlops_lineage.route("/dataset/<id>/lineage", endpoint="index")
def index(id: str) -> str:  # noqa: A002 CKAN's routes name it so
    """The tab of a dataset."""
    package = dataset_or_abort(id)
    return _tab(package, package["id"], State.of(request.args), "mlops_lineage.index", id=package["name"])


@mlops_lineage.route("/dataset/<id>/resource/<resource_id>/lineage", endpoint="resource")
def resource(id: str, resource_id: str) -> str:  # noqa: A002
    """The tab of a resource: its files, one by one."""
    package = dataset_or_abort(id)
    found = next((each for each in package["resources"] if each["id"] == resource_id), None)
    if found is None:
        return tk.abort(404, tk._("Resource not found"))
    state = State.of(request.args, level="files")
    place = {"id": package["name"], "resource_id": resource_id}
    return _tab(package, resource_id, state, "mlops_lineage.resource", resource=found, **place)


@mlops_lineage.route("/dataset/<id>/versions/<version>/lineage", endpoint="version")
def version(id: str, version: str) -> str:  # noqa: A002
    """The tab of a version: the graph as of its commit."""
    package = dataset_or_abort(id)
    with refusals():
        found = tk.get_action("mlops_version_show")({}, {"id": version})
    if found["package_id"] != package["id"]:
        return tk.abort(404, tk._("Version not found"))
    state = State.of(request.args, at=found["commit"])
    return _tab(package, package["id"], state, "mlops_lineage.version", shown_version=found, id=id, version=version)


@mlops_lineage.route("/mlops/lineage.<any(json, mermaid, dot, csv):form>", endpoint="data")
def data(form: str) -> Response:
    """What a page shows, as data: around ``id`` of the query, which holds the page's state as well."""
    with refusals():
        graph = page.graph(State.of(request.args), request.args.get("id", ""))
    if form == "json":
        return jsonify(graph)
    write, media_type, suffix = export.FORMATS[form]
    focus = next((node["name"] for node in graph["nodes"] if node["id"] == graph["focus"]), "")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", focus)[:80].strip("-.") or "graph"
    return file_answer(write(graph), media_type, f"lineage-{name}.{suffix}")


def file_answer(text: str, media_type: str, name: str) -> Response:
    """A file to save."""
    answer = Response(text, content_type=f"{media_type}; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _tab(package: dict[str, Any], focus: str, state: State, endpoint: str, **place: Any) -> str:
    extra = {name: place.pop(name) for name in ("resource", "shown_version") if name in place}
    with refusals():
        shown = page.template_data(state, focus, lambda query: str(tk.url_for(endpoint, **place, **query)))
        refs = tk.get_action("mlops_ref_list")({}, {"id": package["id"]})
    values: dict[str, Any] = {"pkg_dict": package, "dataset_type": package["type"], "refs": refs}
    return str(tk.render("mlops/lineage.html", values | extra | shown))


@contextmanager
def refusals() -> Iterator[None]:
    """Pages say what the actions refuse."""
    try:
        yield
    except tk.ObjectNotFound as error:
        _abort(404, error.message or tk._("Not found"))
    except tk.NotAuthorized:
        _abort(403, tk._("Not authorized to see this"))
    except tk.ValidationError as error:
        _abort(400, "; ".join(f"{key}: {value}" for key, value in sorted(error.error_summary.items())))


def _abort(status: int, why: str) -> NoReturn:
    tk.abort(status, why)
    raise AssertionError
