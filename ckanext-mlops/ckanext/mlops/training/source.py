"""``ckan+dvc://``, the MLflow dataset source of data in a portal (``mlflow.dataset_source``).

The address of the dataset's page, ``ckan+dvc`` in place of ``https`` (``ckan+dvc+http`` for ``http``), with ``@`` and a
branch, tag, commit or version id where it is not the current state, and the file's path behind it:

    ckan+dvc://portal.example.org/dataset/titanic-prepare@v1.0.0/data/train_prepared.csv

Given as text, it is completed once, when MLflow resolves it: the portal is asked which version that is and which hash
the file has there. Given by :func:`tracked`, everything is known from the work tree, and no portal is asked.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import warnings
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests

from ckanext.mlops.core.mlflow_records import clean_text
from ckanext.mlops.training import addresses
from ckanext.mlops.training.worktree import WorkTree

#: MLflow loads its plug-ins while ``mlflow.data`` is imported. When this module is what imports it, MLflow meets the
#: module without its class, warns, and goes on: the class is registered below.
_FIRST = "mlflow.data" not in sys.modules
with warnings.catch_warnings():
    warnings.filterwarnings("ignore", r"(?s)Failure attempting to register.*ckan_dvc")
    from mlflow.data.dataset_source import DatasetSource
    from mlflow.data.dataset_source_registry import get_registered_sources, register_dataset_source

SCHEMES = {"ckan+dvc": "https", "ckan+dvc+http": "http"}
#: API token for portals and datasets that are not public.
TOKEN = "CKAN_API_TOKEN"  # noqa: S105 - the name of a variable
_TIMEOUT = 20
_PAGE = re.compile(r"(?P<prefix>.*)/dataset/(?P<name>[^/@]+)(?:@(?P<revision>[^/]+))?(?:/(?P<path>.+))?")


@dataclass(frozen=True)
class CkanDvcSource(DatasetSource):
    """Data of a dataset in a portal; all that is not known is ``""``.

    :param portal: its address, as https or http
    :param dataset: id or name
    :param version: id of the dataset's version in the portal
    :param revision: branch, tag or commit that was asked for
    :param path: of the file or folder, from the repository's root
    :param md5: DVC's hash, with ``.dir`` for a folder
    :param repository: where DVC tracks it
    """

    portal: str = ""
    dataset: str = ""
    version: str = ""
    revision: str = ""
    path: str = ""
    md5: str = ""
    repository: str = ""

    @property
    def digest(self) -> str | None:
        """For ``mlflow.data.from_*(…, digest=…)``: DVC's hash in place of MLflow's, which covers only the first rows.

        None, so that MLflow computes its own, where the hash is not known.
        """
        return self.md5 or None

    @property
    def uri(self) -> str:
        """``ckan+dvc://…``; the path of the file where no portal is known."""
        if not self.portal or not self.dataset:
            return self.path
        scheme, rest = self.portal.split("://", 1)
        at = self.version or self.revision
        address = f"{'ckan+dvc' if scheme == 'https' else 'ckan+dvc+http'}://{rest}/dataset/{quote(self.dataset)}"
        return address + (f"@{quote(at, safe='')}" if at else "") + (f"/{quote(self.path)}" if self.path else "")

    @property
    def page(self) -> str:
        """The dataset's page; ``""`` where no portal is known."""
        return addresses.dataset_page(self.portal, self.dataset)

    def load(self, dst_path: str | None = None) -> str:
        """Download the file or folder below a folder (a temporary one without ``dst_path``) and return its path.

        It goes through the portal, as of the run's version; what broke is continued, and its bytes are checked against
        the hash.

        :raises ValueError: the portal does not have this file, or has other bytes
        """
        # ckanapi and progress bars are not what every training needs at its start.
        from ckanext.mlops.client import ClientError, Portal, get

        folder = Path(dst_path or tempfile.mkdtemp(prefix="mlops-"))
        try:
            dataset, version = self._where()
            items = list(get(Portal(self.portal, self._token()), dataset, folder, version=version, only=self.path))
        except ClientError as error:
            raise ValueError(f"{self.uri}: {error}") from None
        failed = [item.error for item in items if item.status == "failed"]
        if failed or not items:
            raise ValueError(f"{self.uri}: {'; '.join(failed) or 'the portal has no file of it'}")
        return str(folder / self.path) if self.path else str(items[0].path if len(items) == 1 else folder)

    def to_dict(self) -> dict[str, str]:
        """What MLflow keeps: all that is known, and ``uri`` and ``page`` for people and other tools."""
        found = asdict(self) | {"uri": self.uri, "page": self.page}
        return {name: value for name, value in found.items() if value}

    @classmethod
    def from_dict(cls, source_dict: dict[Any, Any]) -> CkanDvcSource:
        """The source that :meth:`to_dict` wrote."""
        names = {item.name for item in fields(cls)}
        return cls(**{name: str(value) for name, value in source_dict.items() if name in names})

    @staticmethod
    def _get_source_type() -> str:
        return "ckan_dvc"

    @staticmethod
    def _can_resolve(raw_source: Any) -> bool:
        return isinstance(raw_source, str) and raw_source.split("://", 1)[0] in SCHEMES

    @classmethod
    def _resolve(cls, raw_source: str) -> CkanDvcSource:
        return parse(raw_source).completed()

    def completed(self) -> CkanDvcSource:
        """With the version and the hash that the portal knows; as it is, with a warning, when it does not answer."""
        try:
            found = self._listed(self.revision)
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            warnings.warn(
                f"{self.uri}: the portal does not say which version this is ({type(error).__name__}); the run is "
                f"logged without its hash. Is {addresses.VARIABLE} right, and {TOKEN} set for a private dataset?",
                stacklevel=2,
            )
            return self
        if found is None:
            raise ValueError(f"{self.uri}: the dataset has no version '{self.revision}'.")
        hashes = {str(file["path"]): str(file.get("hash") or "") for file in found["files"]}
        path = self.path or (next(iter(hashes)) if len(hashes) == 1 else "")
        if path and path not in hashes:
            raise ValueError(
                f"{self.uri}: this version has no file {path}; it has {', '.join(sorted(hashes)) or 'none'}."
            )
        return replace(self, version=str(found.get("version") or ""), path=path, md5=hashes.get(path, ""))

    def _listed(self, version: str) -> dict[str, Any] | None:
        """The dataset's files at a version; None when the dataset is there and has no such version."""
        try:
            found: dict[str, Any] = self._action("mlops_file_list", id=self.dataset, version=version)
        except requests.HTTPError as error:
            if not version or error.response is None or error.response.status_code != 404:
                raise
            self._action("mlops_file_list", id=self.dataset, version="")
            return None
        return found

    def _where(self) -> tuple[str, str]:
        """Dataset and version that have this file with this hash.

        :raises ValueError: the portal has none
        """
        try:
            listed = self._listed(self.version or self.revision)
            hashes = {file["path"]: file.get("hash") for file in listed["files"]} if listed else {}
            if listed and (not self.md5 or not self.path or hashes.get(self.path) == self.md5):
                return self.dataset, self.version or self.revision
            if self.md5:
                for found in self._action("mlops_content_find", hash=self.md5)["results"]:
                    version = found.get("version") or {}
                    if found["path"] == self.path and self.dataset in (found["dataset"], found["name"]):
                        return self.dataset, str(version.get("id") or "")
        except (requests.RequestException, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.uri}: the portal does not say where it is ({type(error).__name__}).") from None
        raise ValueError(f"{self.uri}: the portal has no such file with the hash {self.md5 or 'of this version'}.")

    def _action(self, name: str, **arguments: str) -> Any:
        url = f"{self.portal}/api/3/action/{name}"
        answer = requests.get(url, arguments, headers=self._headers(), timeout=_TIMEOUT, allow_redirects=False)
        answer.raise_for_status()
        return answer.json()["result"]

    def _token(self) -> str:
        # To the portal of the environment and to no other: a run's source can name any.
        own = addresses.portal()
        return os.environ.get(TOKEN, "") if own and (self.portal + "/").startswith(own + "/") else ""

    def _headers(self) -> dict[str, str]:
        token = self._token()
        return {"Authorization": token} if token else {}


if _FIRST and CkanDvcSource not in get_registered_sources():
    register_dataset_source(CkanDvcSource)  # type: ignore[arg-type]  # MLflow takes classes, and says instances


def parse(uri: str) -> CkanDvcSource:
    """What a ``ckan+dvc://`` address says by itself.

    :raises ValueError: it is none
    """
    parts = urlsplit(uri)
    found = _PAGE.fullmatch(parts.path)
    if parts.scheme not in SCHEMES or not parts.hostname or "@" in parts.netloc or not found:
        raise ValueError(
            f"{clean_text(uri, 200)!r} is no address of a dataset: ckan+dvc://portal.example.org/dataset/NAME[@VERSION][/PATH]"
        )
    return CkanDvcSource(
        portal=f"{SCHEMES[parts.scheme]}://{parts.netloc}{found['prefix']}",
        dataset=unquote(found["name"]),
        revision=unquote(found["revision"] or ""),
        path=unquote(found["path"] or ""),
    )


def tracked(path: str | Path) -> CkanDvcSource:
    """The source of a file or folder that DVC tracks; see :func:`ckanext.mlops.training.tracked`."""
    place = Path(path).absolute()
    tree = WorkTree.find(place.parent)
    if tree is None:
        raise ValueError(f"{path} is not in a Git work tree that uses DVC.")
    relative = place.relative_to(tree.root.absolute()).as_posix()
    found = tree.output(relative)
    if found is None:
        raise ValueError(f"{path} is not tracked by DVC as a whole; 'dvc add {path}', or name what is tracked.")
    if not tree.unchanged(found, budget=2**63)[0]:
        raise ValueError(f"{path} is not what DVC has on record; run 'dvc repro' or 'dvc commit' first.")
    return CkanDvcSource(
        portal=addresses.portal(),
        dataset=addresses.dataset_id(tree.repository, found.address),
        path=relative,
        md5=found.hash,
        repository=tree.repository,
    )
