"""Download through the portal: any file, of any version, after CKAN's own authorization."""

from __future__ import annotations

import json
import shlex
import zipfile
from collections.abc import Iterator
from typing import IO, Any, cast

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context
from ckan.views import resource as ckan_resource
from flask import Blueprint, redirect, request
from flask import Response as FlaskResponse
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.utils import send_file
from werkzeug.wrappers import Response

from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.storage import ObjectMissing
from ckanext.mlops.logic import files
from ckanext.mlops.logic.reader import context_of_request
from ckanext.mlops.transfers import audit, delivery, storages
from ckanext.mlops.views.datasets import dataset_or_abort

mlops_download = Blueprint("mlops_download", __name__)
SIGNED_SECONDS = 300


@mlops_download.route("/dataset/<id>/resource/<resource_id>/download", endpoint="resource")
@mlops_download.route("/dataset/<id>/resource/<resource_id>/download/<filename>", endpoint="resource")
def resource(id: str, resource_id: str, filename: str | None = None) -> Response | str:  # noqa: A002 as CKAN's routes
    """A file by its resource, at ``version`` of the query; CKAN's own download for what is uploaded or linked."""
    package = dataset_or_abort(id)
    found = next((each for each in package["resources"] if each["id"] == resource_id), None)
    if found is None:
        return tk.abort(404, tk._("Resource not found"))
    if not found.get("dvc_path") or found.get("url_type") == "upload":
        _allowed(package)
        return ckan_resource.download(package["type"], id, resource_id, filename)
    return _send(package, request.args.get("version", ""), str(found["dvc_path"]))


@mlops_download.route("/dataset/<id>/versions/<version>/download", endpoint="version")
def version(id: str, version: str) -> Response | str:  # noqa: A002
    """A file by its ``path``."""
    return _send(dataset_or_abort(id), version, request.args.get("path", ""))


@mlops_download.route("/dataset/<id>/versions/<version>/recipe", endpoint="recipe")
def recipe(id: str, version: str) -> Response | str:  # noqa: A002
    """How to make the version again; ``format=json`` for programs."""
    package = dataset_or_abort(id)
    try:
        found = tk.get_action("mlops_recipe_show")({}, {"id": package["id"], "version": version})
    except (tk.ObjectNotFound, tk.NotAuthorized):
        return tk.abort(404, tk._("Version not found"))
    if request.args.get("format") == "json":
        return FlaskResponse(json.dumps(found, indent=1), mimetype="application/json")
    return tk.render(
        "mlops/recipe.html",
        {"pkg_dict": package, "dataset_type": package["type"], "recipe": found, "version": version},
    )


def _allowed(package: dict[str, Any]) -> Context:
    """The context of a reader who may take the dataset's files; for others the answer is 403."""
    context = context_of_request()
    try:
        tk.check_access("mlops_download", context, {"id": package["id"]})
    except tk.NotAuthorized as error:
        return tk.abort(403, error.message or tk._("Not authorized to download the files of this dataset"))
    return context


def _send(package: dict[str, Any], version: str, path: str) -> Response | str:
    context = _allowed(package)
    try:
        there = files.at(context, package, version)
        files.check_owner(context, there)
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Version not found"))
    except tk.NotAuthorized as error:
        return tk.abort(403, error.message or tk._("Not authorized to download the files of this dataset"))
    out = there.out(path)
    if out is None:
        return tk.abort(404, tk._("This version has no file {path}").format(path=path[:500]))
    try:
        return _respond(there, out)
    except ObjectMissing as error:
        return _missing(there, out, error)
    except MlopsError as error:
        return _plain(f"{error} {_elsewhere(there, out)}", 404 if isinstance(error, delivery.NotServed) else 502)


def _respond(there: files.At, out: dict[str, Any]) -> Response | str:
    opened = delivery.open_out(files.origin(there), out)
    if opened.public:
        audit.download(there, out["path"], "public")
        return redirect(opened.public, code=302)
    name = str(out["path"]).rsplit("/", 1)[-1] or "data"
    if not out.get("is_dir"):
        return _file(there, out["path"], name, _etag(out), opened.content)
    wanted = request.args.get("file", "")
    if wanted:
        member = next((each for each in opened.members if each.path == wanted), None)
        if member is None:
            return tk.abort(404, tk._("The folder has no file {path}").format(path=wanted[:500]))
        content = opened.member(member)
        return _file(there, f"{out['path']}/{wanted}", wanted.rsplit("/", 1)[-1], member.hash, content)
    if request.args.get("manifest"):
        return _manifest(there, out, opened)
    return _zip(there, out, name, opened)


def _etag(out: dict[str, Any]) -> str:
    return str(out.get("hash") or out.get("blob") or out.get("version_id") or "")


def _file(there: files.At, path: str, name: str, etag: str, content: delivery.Content | None) -> Response:
    if content is None:
        raise ObjectMissing("There is no content.")
    if etag and request.if_none_match.contains(etag):
        return _headers(FlaskResponse(status=304), etag)
    size = content.stat().size
    limit = int(tk.config.get("ckanext.mlops.download.max_bytes") or 0)
    if limit and size > limit:
        return _plain(tk._("The file is larger than this portal gives ({limit} bytes).").format(limit=limit), 403)
    if request.range is None or request.range.ranges[0][0] == 0:
        audit.download(there, path, "file", size)
    signed = content.signed_url(SIGNED_SECONDS, name)
    if signed:
        return redirect(signed, code=302)
    local = content.local_path()
    if local is not None:
        # The server sends it with the kernel's help (wsgi.file_wrapper), ranges included.
        response = send_file(
            local, request.environ, as_attachment=True, download_name=name, etag=etag or True, conditional=True
        )
        return _headers(response, "")
    return _stream(name, etag, size, content)


def _stream(name: str, etag: str, size: int, content: delivery.Content) -> Response:
    """From a storage elsewhere: a range is asked of it, nothing is read that is not sent."""
    span = request.range.range_for_length(size) if request.range and _same_as_begun(etag) else None
    if request.range and _same_as_begun(etag) and span is None and len(request.range.ranges) == 1:
        raise RequestedRangeNotSatisfiable(size)
    start, end = span or (0, size)
    body: Iterator[bytes] = iter(()) if request.method == "HEAD" else content.read(start, end - start)
    response = FlaskResponse(body, 206 if span else 200, direct_passthrough=True)
    response.headers["Content-Type"] = _type(name)
    response.headers["Content-Length"] = str(end - start)
    response.headers["Accept-Ranges"] = "bytes"
    if span:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return _headers(response, etag)


def _same_as_begun(etag: str) -> bool:
    begun = request.if_range.etag
    return begun is None or begun == etag


def _type(name: str) -> str:
    import mimetypes

    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _headers(response: Any, etag: str) -> Response:
    if etag:
        response.set_etag(etag)
    # What a stranger's repository holds is never run in the portal's name.
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"
    response.headers["Cache-Control"] = "private, no-cache"
    found: Response = response
    return found


def _manifest(there: files.At, out: dict[str, Any], opened: delivery.Opened) -> Response:
    listed = [
        {
            "path": each.path,
            "hash": each.hash,
            "address": files.address(there.package["name"], out["path"], there.version, file=each.path),
        }
        for each in opened.members
    ]
    body = {
        "path": out["path"],
        "hash": out.get("hash") or "",
        "algorithm": out.get("algorithm") or "md5",
        "files": listed,
    }
    return _headers(FlaskResponse(json.dumps(body), mimetype="application/json"), "")


class _Pipe:
    """What zipfile writes, until it is sent."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def _zip(there: files.At, out: dict[str, Any], name: str, opened: delivery.Opened) -> Response:
    limit = int(tk.config.get("ckanext.mlops.download.max_files") or 0)
    if limit and len(opened.members) > limit:
        return _plain(
            tk._("The folder has {count} files, more than go into one archive: use 'ckan-mlops get'.").format(
                count=len(opened.members)
            ),
            403,
        )
    contents = [(each.path, opened.member(each)) for each in opened.members]
    for _, content in contents[:1]:
        content.stat()  # a storage that has the list but no file is told before the archive begins
    audit.download(there, out["path"], "folder")
    response = FlaskResponse(_zipped(contents), mimetype="application/zip", direct_passthrough=True)
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.zip")
    # The request's session is not the one that sends the body.
    return _headers(response, "")


def _zipped(contents: list[tuple[str, delivery.Content]]) -> Iterator[bytes]:
    pipe = _Pipe()
    with zipfile.ZipFile(cast("IO[bytes]", pipe), "w", zipfile.ZIP_STORED) as archive:
        for path, content in contents:
            with archive.open(zipfile.ZipInfo(path), "w", force_zip64=True) as entry:
                for data in content.read():
                    entry.write(data)
                    yield pipe.take()
    yield pipe.take()


def _missing(there: files.At, out: dict[str, Any], error: ObjectMissing) -> Response:
    audit.missing(there, out["path"])
    return _plain(f"{error} {_elsewhere(there, out, missing=True)}", 404)


def _elsewhere(there: files.At, out: dict[str, Any], *, missing: bool = False) -> str:
    """Who could help: the author of the version, and the command; of Git LFS, how to take it from there."""
    checkout, large = f"git checkout {there.commit[:12]}", storages.in_lfs(out)
    if large and not missing:
        pull = f"git lfs pull --include {shlex.quote(str(out['path']))}"
        return tk._("In a clone: {command}").format(command=f"{checkout} && {pull}")
    remote = f" -r {shlex.quote(str(out['remote']))}" if out.get("remote") else ""
    push = f"git lfs push --object-id origin {out.get('hash') or ''}" if large else f"{checkout} && dvc push{remote}"
    organization = (there.package.get("organization") or {}).get("title") or ""
    who = " or ".join(filter(None, [there.author, organization]))
    text = tk._("It was recorded with commit {commit}").format(commit=there.commit[:12])
    if who:
        text += tk._("; {who} can push it").format(who=who)
    return f"{text}: {push}"


def _plain(text: str, status: int) -> Response:
    model.Session.rollback()
    response = FlaskResponse(f"{text}\n", status, mimetype="text/plain")
    return _headers(response, "")
