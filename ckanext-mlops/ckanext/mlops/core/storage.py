"""Reading what a DVC remote stores: whether it is there, its bytes, an address that gives it for a while.

A store is configured by the operator (:mod:`ckanext.mlops.transfers.storages`), never by a repository: of its
``.dvc/config`` only URL and layout count, and only where the operator said whose data lies there. Nothing here imports
DVC. S3 is read with boto3, HTTP with requests, other kinds by fsspec where its file system is installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from .errors import MlopsError

CHUNK = 1024 * 1024
TIMEOUT = 20.0


class StorageError(MlopsError):
    """A store cannot be asked, or does not answer."""


class ObjectMissing(StorageError):
    """The store answers that it does not have the object."""


@dataclass(frozen=True)
class Found:
    """An object in a store. ``is_dir``: a folder of a file system, which an object store does not have."""

    size: int
    is_dir: bool = False


@dataclass(frozen=True)
class Settings:
    """A store as the operator configured it. ``repr`` shows no secret.

    :param url: ``s3://bucket/prefix``, ``https://host/path``, a URL of fsspec, or an absolute folder
    :param layout: ``dvc``, or ``lfs`` for what git-lfs pointers stand for: see :mod:`ckanext.mlops.core.lfs_store`
    :param options: of :mod:`fsspec`'s file system
    """

    name: str
    url: str
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    layout: str = "dvc"
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        """``local``, or the scheme of the URL."""
        return urlsplit(self.url).scheme.lower() if "://" in self.url else "local"


class Store(Protocol):
    """One place that keeps objects by their key: the part of their URL below the store's own."""

    def stat(self, key: str, version: str = "") -> Found | None:
        """The object, None when the store says that it has none.

        :raises StorageError: it cannot be asked
        """
        ...

    def read(self, key: str, start: int = 0, length: int | None = None, version: str = "") -> Iterator[bytes]:
        """The bytes from ``start``, ``length`` of them or all that follow. Opened at once, not at the first chunk.

        :raises ObjectMissing: the store has no such object
        :raises StorageError: it cannot be asked
        """
        ...

    def local_path(self, key: str) -> Path | None:
        """The file on this machine, when it is one."""
        ...

    def signed_url(self, key: str, seconds: int, file_name: str, version: str = "") -> str:
        """An address that gives the object for some time without credentials; ``""`` when the store has none."""
        ...


def open_store(settings: Settings) -> Store:
    """The store that the settings describe.

    :raises StorageError: what is needed for its kind is not installed
    """
    if settings.layout == "lfs":
        from .lfs_store import LfsFolder, LfsServer

        if settings.kind in ("http", "https"):
            return LfsServer(settings)
        return LfsFolder(open_store(replace(settings, layout="dvc")))
    if settings.kind == "local":
        return LocalStore(Path(settings.url))
    if settings.kind == "s3":
        return S3Store(settings)
    if settings.kind in ("http", "https"):
        return HttpStore(settings)
    return FsspecStore(settings)


def read_all(store: Store, key: str, limit: int, version: str = "") -> bytes:
    """A whole object of ``limit`` bytes at most.

    :raises StorageError: it is missing, larger, or cannot be read
    """
    data = b"".join(store.read(key, 0, limit + 1, version))
    if len(data) > limit:
        raise StorageError(f"An object of the storage is larger than {limit:,} bytes.")
    return data


def checked_key(key: str) -> str:
    """The key, when it stays below the store.

    :raises ObjectMissing: it would not
    """
    parts = key.split("/")
    if not key or key.startswith("/") or "\\" in key or "\0" in key or any(each in ("", ".", "..") for each in parts):
        raise ObjectMissing("The storage has no object of that name.")
    return key


class LocalStore:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def local_path(self, key: str) -> Path | None:
        """The file; nothing that a link leads out of the folder."""
        path = (self.root / checked_key(key)).resolve()
        return path if path.is_relative_to(self.root.resolve()) else None

    def stat(self, key: str, version: str = "") -> Found | None:
        """See :class:`Store`."""
        if not self.root.is_dir():
            raise StorageError("The storage's folder is not there; is it mounted?")
        path = self.local_path(key)
        try:
            found = path.stat() if path else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(f"The storage cannot be read: {error.strerror}.") from None
        return Found(found.st_size, path.is_dir()) if found and path else None

    def read(self, key: str, start: int = 0, length: int | None = None, version: str = "") -> Iterator[bytes]:
        """See :class:`Store`."""
        path = self.local_path(key)
        try:
            if path is None:
                raise FileNotFoundError
            stream = path.open("rb", buffering=0)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise ObjectMissing("The storage does not have it.") from None
        except OSError as error:
            raise StorageError(f"The storage cannot be read: {error.strerror}.") from None
        return _chunks(stream, start, length)

    def signed_url(self, key: str, seconds: int, file_name: str, version: str = "") -> str:
        """A folder has none."""
        return ""


class S3Store:
    """S3, or a service that speaks it."""

    def __init__(self, settings: Settings) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise StorageError("S3 needs boto3: pip install 'ckanext-mlops[s3]'.") from None
        parts = urlsplit(settings.url)
        self.bucket, self.prefix = parts.netloc, parts.path.strip("/")
        self._client = boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint or None,
            region_name=settings.region or "us-east-1",
            aws_access_key_id=settings.access_key or None,
            aws_secret_access_key=settings.secret_key or None,
            aws_session_token=settings.session_token or None,
            config=Config(
                connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"max_attempts": 3}, max_pool_connections=64
            ),
        )

    def _place(self, key: str, version: str) -> dict[str, Any]:
        key = checked_key(key)
        place = {"Bucket": self.bucket, "Key": f"{self.prefix}/{key}" if self.prefix else key}
        return {**place, "VersionId": version} if version else place

    def local_path(self, key: str) -> Path | None:
        """It is not on this machine."""
        return None

    def stat(self, key: str, version: str = "") -> Found | None:
        """See :class:`Store`."""
        try:
            return Found(int(self._client.head_object(**self._place(key, version))["ContentLength"]))
        except Exception as error:
            if isinstance(_s3_error(error), ObjectMissing):
                return None
            raise _s3_error(error) from None

    def read(self, key: str, start: int = 0, length: int | None = None, version: str = "") -> Iterator[bytes]:
        """See :class:`Store`."""
        if length == 0:
            return iter(())
        whole = start == 0 and length is None
        span = {} if whole else {"Range": f"bytes={start}-{'' if length is None else start + length - 1}"}
        try:
            body = self._client.get_object(**self._place(key, version), **span)["Body"]
        except Exception as error:
            if getattr(error, "response", {}).get("Error", {}).get("Code") == "InvalidRange":
                return iter(())
            raise _s3_error(error) from None
        return _s3_chunks(body)

    def signed_url(self, key: str, seconds: int, file_name: str, version: str = "") -> str:
        """A URL that anybody can use until it ends."""
        place = self._place(key, version) | {
            "ResponseContentDisposition": f"attachment; filename*=UTF-8''{quote(file_name, safe='')}"
        }
        return str(self._client.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds))


def _s3_chunks(body: Any) -> Iterator[bytes]:
    try:
        yield from body.iter_chunks(CHUNK)
    except Exception as error:
        raise _s3_error(error) from None
    finally:
        body.close()


def _s3_error(error: Exception) -> StorageError:
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
    if code in ("404", "NoSuchKey", "NoSuchVersion", "NotFound"):
        return ObjectMissing("The storage does not have it.")
    said = code or type(error).__name__  # boto's messages hold addresses and names of keys
    return StorageError(f"The storage did not give it ({said}).")


class HttpStore:
    """A web server. It is asked at the operator's address only: redirects are refused."""

    def __init__(self, settings: Settings) -> None:
        import requests

        self._requests = requests
        self.url = settings.url.rstrip("/")
        self._auth = (settings.username, settings.password) if settings.password else None
        self._headers = {"Accept-Encoding": "identity"}
        if settings.token:
            self._headers["Authorization"] = f"Bearer {settings.token}"

    def _ask(self, method: str, key: str, headers: Mapping[str, str]) -> Any:
        address = f"{self.url}/{quote(checked_key(key), safe='/')}"
        return self._checked(
            lambda: self._requests.request(
                method,
                address,
                headers={**self._headers, **headers},
                auth=self._auth,
                stream=True,
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        )

    def _checked(self, ask: Callable[[], Any]) -> Any:
        """The answer when it has content, None when it says that the range has none."""
        try:
            response = ask()
        except self._requests.RequestException as error:
            raise StorageError(f"The storage cannot be reached ({type(error).__name__}).") from None
        if response.status_code in (200, 206):
            return response
        response.close()
        if response.status_code in (404, 410):
            raise ObjectMissing("The storage does not have it.")
        if response.status_code == 416:
            return None
        raise StorageError(f"The storage did not give it (HTTP {response.status_code}).")

    def local_path(self, key: str) -> Path | None:
        """It is not on this machine."""
        return None

    def stat(self, key: str, version: str = "") -> Found | None:
        """See :class:`Store`."""
        try:
            with self._ask("HEAD", key, {}) as response:
                return Found(int(response.headers.get("Content-Length") or 0))
        except ObjectMissing:
            return None

    def read(self, key: str, start: int = 0, length: int | None = None, version: str = "") -> Iterator[bytes]:
        """See :class:`Store`."""
        if length == 0:
            return iter(())
        whole = start == 0 and length is None
        span = {} if whole else {"Range": f"bytes={start}-{'' if length is None else start + length - 1}"}
        response = self._ask("GET", key, span)
        if response is None:
            return iter(())
        skip = start if response.status_code == 200 else 0  # a server without ranges
        return self._chunks(response, skip, length)

    def _chunks(self, response: Any, skip: int, length: int | None) -> Iterator[bytes]:
        left = length
        with response:
            try:
                for data in response.iter_content(CHUNK):
                    if skip:
                        skip, data = max(0, skip - len(data)), data[skip:]
                    data = data if left is None else data[:left]
                    if data:
                        yield data
                    if left is not None:
                        left -= len(data)
                        if left <= 0:
                            return
            except self._requests.RequestException as error:
                raise StorageError(f"The storage broke off ({type(error).__name__}).") from None

    def signed_url(self, key: str, seconds: int, file_name: str, version: str = "") -> str:
        """A web server has none."""
        return ""


class FsspecStore:
    """Any storage that an installed file system of fsspec reads: Google Cloud, Azure, SSH, HDFS, WebDAV, …"""

    def __init__(self, settings: Settings) -> None:
        try:
            import fsspec  # type: ignore[import-untyped]

            self._fs = fsspec.filesystem(settings.kind, **settings.options)
        except (ImportError, ValueError) as error:
            raise StorageError(f"{settings.kind}:// needs a file system of fsspec: {error}.") from None
        self.root = self._fs._strip_protocol(settings.url).rstrip("/")

    def local_path(self, key: str) -> Path | None:
        """It is not on this machine."""
        return None

    def stat(self, key: str, version: str = "") -> Found | None:
        """See :class:`Store`."""
        path = f"{self.root}/{checked_key(key)}"
        try:
            found = self._fs.info(path)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise StorageError(f"The storage cannot be asked ({type(error).__name__}).") from None
        return Found(int(found.get("size") or 0), found.get("type") == "directory")

    def read(self, key: str, start: int = 0, length: int | None = None, version: str = "") -> Iterator[bytes]:
        """See :class:`Store`."""
        path = f"{self.root}/{checked_key(key)}"
        try:
            stream = self._fs.open(path, "rb")
        except FileNotFoundError:
            raise ObjectMissing("The storage does not have it.") from None
        except Exception as error:
            raise StorageError(f"The storage cannot be read ({type(error).__name__}).") from None
        return _chunks(stream, start, length)

    def signed_url(self, key: str, seconds: int, file_name: str, version: str = "") -> str:
        """What the file system signs, where it can."""
        try:
            return str(self._fs.sign(f"{self.root}/{checked_key(key)}", expiration=seconds))
        except NotImplementedError:
            return ""


def _chunks(stream: Any, start: int, length: int | None) -> Iterator[bytes]:
    left = length
    with stream:
        if start:
            stream.seek(start, os.SEEK_SET)
        while left is None or left > 0:
            data = stream.read(CHUNK if left is None else min(CHUNK, left))
            if not data:
                return
            yield data
            if left is not None:
                left -= len(data)
