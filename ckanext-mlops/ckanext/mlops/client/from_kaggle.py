"""A dataset or competition of Kaggle into a DVC-tracked folder and the catalog, through Kaggle's own client."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from ckanext.mlops.client.folders import KAGGLE, read_dataset
from ckanext.mlops.client.hashing import file_md5
from ckanext.mlops.client.portal import ClientError
from ckanext.mlops.client.records import DatasetRecord, FileRecord, dataset_name, is_data

_REFERENCE = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
SITE = "https://www.kaggle.com"


def download(reference: str, folder: Path) -> DatasetRecord:
    """Download what ``reference`` names below ``folder``: ``owner/dataset``, the name of a competition, or its address.

    Kaggle's credentials are where its client looks: ``KAGGLE_API_TOKEN``, ``~/.kaggle``.

    :raises ClientError: Kaggle refuses, or its client is not installed
    """
    try:
        # Its import signs in, and ends the program without credentials.
        from kaggle.api.kaggle_api_extended import KaggleApi  # type: ignore[import-untyped]
    except ImportError:
        raise ClientError("Kaggle's client is not installed: pip install 'ckanext-mlops[kaggle]'.") from None
    except SystemExit:
        raise ClientError("Kaggle wants credentials: set KAGGLE_API_TOKEN, or put them into ~/.kaggle.") from None
    reference = named(reference)
    api = KaggleApi()
    target = folder / dataset_name(reference.rsplit("/", 1)[-1])
    target.mkdir(parents=True, exist_ok=True)
    try:
        api.authenticate()
        read = _dataset if "/" in reference else _competition
        return read(api, reference, target)
    except SystemExit:
        raise ClientError("Kaggle wants credentials: set KAGGLE_API_TOKEN, or put them into ~/.kaggle.") from None
    except (OSError, ValueError, zipfile.BadZipFile) as error:  # requests' errors are OSErrors
        raise ClientError(f"{reference}: Kaggle's client says: {str(error)[:300]}") from None


def named(reference: str) -> str:
    """``owner/dataset`` or the name of a competition, also of an address that was copied from the browser.

    :raises ClientError: it is neither
    """
    text = reference.strip().split("?")[0].split("#")[0].rstrip("/")
    text = re.sub(r"^(https?://)?(www\.)?kaggle\.com/(datasets|competitions|c)/", "", text)
    if not _REFERENCE.fullmatch(text):
        raise ClientError(f"{reference!r} names nothing of Kaggle: give owner/dataset, or the name of a competition.")
    return text


def check_trackable(folder: Path) -> None:
    """See that DVC can track what will be in ``folder``, before anything is downloaded.

    :raises ClientError: it cannot
    """
    if importlib.util.find_spec("dvc") is None:
        raise ClientError("DVC is not installed: pip install 'ckanext-mlops[dvc]', or give --no-dvc.")
    place = folder.resolve()
    if not any((each / ".dvc").is_dir() for each in (place, *place.parents)):
        raise ClientError(
            f"{folder} is in no repository of DVC: 'git init && dvc init' where it shall be, or give --no-dvc."
        )


def _dataset(api: Any, reference: str, target: Path) -> DatasetRecord:
    api.dataset_download_files(reference, path=str(target), unzip=True, quiet=True)
    _forget_archive(target, reference.rsplit("/", 1)[-1])
    path = Path(api.dataset_metadata(reference, str(target)))
    info = json.loads(path.read_text("utf-8"))
    # Some versions of the client write the object as JSON text.
    info = json.loads(info) if isinstance(info, str) else info
    info = info.get("info") or info
    path.unlink()
    (target / KAGGLE).write_text(json.dumps(_plain(info) | {"id": reference}, indent=1), encoding="utf-8")
    record = read_dataset(target)
    return replace(record, derived_from=({"url": f"{SITE}/datasets/{reference}", "label": f"Kaggle: {reference}"},))


def _plain(info: dict[str, Any]) -> dict[str, Any]:
    """The metadata under the names of the file ``dataset-metadata.json``."""
    names = {"title", "subtitle", "description", "keywords", "licenses", "isPrivate"}
    return {key: value for key, value in info.items() if key in names and value is not None}


def _competition(api: Any, reference: str, target: Path) -> DatasetRecord:
    api.competition_download_files(reference, path=str(target), quiet=True)
    archive = target / f"{reference}.zip"
    if archive.is_file():
        with zipfile.ZipFile(archive) as found:
            found.extractall(target)  # zipfile keeps every name below the folder
        _forget_archive(target, reference)
    response = api.competitions_list(search=reference)
    listed = getattr(response, "competitions", None) or response or ()
    entry = next((each for each in listed if str(getattr(each, "ref", "")).rsplit("/", 1)[-1] == reference), None)
    files = sorted(path for path in target.rglob("*") if path.is_file() and is_data(path))
    address = f"{SITE}/competitions/{reference}"
    return DatasetRecord(
        name=dataset_name(reference),
        title=str(getattr(entry, "title", "") or reference),
        license_id="notspecified",
        derived_from=({"url": address, "label": f"Kaggle: {reference}"},),
        files=tuple(FileRecord(path.relative_to(target).as_posix(), path) for path in files),
        fields={
            "url": address,
            "notes": "\n\n".join(
                filter(None, [str(getattr(entry, "description", "") or ""), f"The rules are at {address}/rules"])
            ),
        },
        place=reference,
    )


def _forget_archive(target: Path, slug: str) -> None:
    for path in (target / f"{slug}.zip", target / f"{slug}.zip.kaggle-partial"):
        path.unlink(missing_ok=True)


def track(record: DatasetRecord, folder: Path) -> DatasetRecord:
    """Have DVC track the folder of the record; the record then says so, and its files are those of DVC.

    :raises ClientError: DVC is not installed, or refuses
    """
    command = [sys.executable, "-m", "dvc", "add", "--quiet", folder.name]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClientError(f"dvc add {folder}: {done.stderr.strip()[-500:]}")
    root = Path(_git(folder.parent, "rev-parse", "--show-toplevel"))
    repository = _git(folder.parent, "config", "--get", "remote.origin.url", allow=True)
    below = Path(os.path.relpath(folder, root)).as_posix()
    files = tuple(
        replace(
            each,
            path=None,
            fields={
                **each.fields,
                "dvc_path": f"{below}/{each.path.relative_to(folder).as_posix()}",
                "dvc_kind": "data",
                "hash": file_md5(each.path),
                "hash_algorithm": "md5",
                "size": each.path.stat().st_size,
            },
        )
        for each in record.files
        if each.path is not None
    )
    known = {"dvc_repository": repository} if "://" in repository else {}
    return replace(record, files=files, fields={**record.fields, **known, "dvc_stage": f"{below}.dvc"})


def _git(folder: Path, *arguments: str, allow: bool = False) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode and not allow:
        raise ClientError(f"git {arguments[0]} in {folder}: {done.stderr.strip()[-300:]}")
    return done.stdout.strip()
