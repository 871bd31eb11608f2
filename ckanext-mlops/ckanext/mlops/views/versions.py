"""The Versions tab of a dataset, the permanent page of each version, and the comparison of two."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from flask import Blueprint, request

from ckanext.mlops.logic import versions
from ckanext.mlops.views.datasets import dataset_or_abort

PER_PAGE = 25
MAX_PAGE = 10_000
MAX_CHOICES = 500
mlops_versions = Blueprint("mlops_versions", __name__)


@mlops_versions.route("/dataset/<id>/versions", endpoint="index")
def index(id: str) -> str:  # noqa: A002 CKAN's routes name it so
    """The tab; ``page`` of the query counts from 1."""
    package = dataset_or_abort(id)
    number = _number(request.args.get("page", ""))
    # One more than is shown: the last one is compared with it.
    found = tk.get_action("mlops_version_list")(
        {}, {"id": package["id"], "limit": PER_PAGE + 1, "offset": (number - 1) * PER_PAGE}
    )
    rows = found["results"]
    for row, older in zip(rows, [*rows[1:], None], strict=False):
        row["changes"] = None if older is None else versions.changes(row["facts"], older["facts"])
    return tk.render(
        "mlops/versions.html",
        {
            **_shared(package),
            "versions": rows[:PER_PAGE],
            "count": found["count"],
            "chain": found["chain"],
            "page_number": number,
            "newer": number - 1 if number > 1 else None,
            "older": number + 1 if found["count"] > number * PER_PAGE else None,
        },
    )


@mlops_versions.route("/dataset/<id>/versions/compare", endpoint="compare")
def compare(id: str) -> str:  # noqa: A002
    """What differs between the versions ``before`` and ``after`` of the query; without them, the two newest."""
    package = dataset_or_abort(id)
    found = tk.get_action("mlops_version_list")({}, {"id": package["id"], "limit": MAX_CHOICES})
    choices = found["results"]
    after = request.args.get("after", "") or (choices[0]["id"] if choices else "")
    before = request.args.get("before", "") or (choices[1]["id"] if len(choices) > 1 else "")
    compared = changed_files = None
    if before and after:
        try:
            compared = tk.get_action("mlops_version_diff")({}, {"before": before, "after": after})
            changed_files = tk.get_action("mlops_file_diff")({}, {"before": before, "after": after})
        except (tk.ObjectNotFound, tk.NotAuthorized, tk.ValidationError):
            return tk.abort(404, tk._("Version not found"))
        chosen = [compared["after"], compared["before"]]
        choices += [each for each in chosen if each["id"] not in {choice["id"] for choice in choices}]
    return tk.render(
        "mlops/versions_compare.html",
        {
            **_shared(package),
            "choices": choices,
            "before": before,
            "after": after,
            "compared": compared,
            "files": changed_files,
        },
    )


@mlops_versions.route("/dataset/<id>/versions/<version>", endpoint="show")
def show(id: str, version: str) -> str:  # noqa: A002
    """The page of one version."""
    package = dataset_or_abort(id)
    try:
        found = tk.get_action("mlops_version_show")({}, {"id": version})
    except (tk.ObjectNotFound, tk.NotAuthorized):
        found = None
    if found is None or found["package_id"] != package["id"]:
        return tk.abort(404, tk._("Version not found"))
    resources = {each["dvc_path"]: each for each in package["resources"] if each.get("dvc_path")}
    return tk.render("mlops/version.html", {**_shared(package), "version": found, "resources": resources})


def _shared(package: dict[str, Any]) -> dict[str, Any]:
    return {"pkg_dict": package, "dataset_type": package["type"], "facts": versions}


def _number(text: str) -> int:
    return min(int(text), MAX_PAGE) if text.isdecimal() and len(text) < 10 and int(text) > 0 else 1
