"""One portal: its actions through ckanapi, retried; files streamed in both directions."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

import ckanapi  # type: ignore[import-untyped]
import requests

from ckanext.mlops.client.hashing import CHUNK, Md5
from ckanext.mlops.core.errors import MlopsError

log = logging.getLogger(__name__)
Progress = Callable[[int], None]
_AGAIN = {429, 502, 503, 504}
_MAX_WAIT = 60.0
#: Bytes of a file that go in one request where it is sent in parts.
PART = 16 * 1024 * 1024


class ClientError(MlopsError):
    """The portal cannot be reached, or does not answer as a portal."""


class Refused(ClientError):
    """The portal answered, and says no.

    :param status: of HTTP: 403 you may not, 404 there is none, 409 a value is wrong
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Portal:
    """A portal at ``url``, as the owner of ``token`` (anonymous without one). Threads may share it.

    :param retries: how often a request is sent again after a broken connection, a 429, 502, 503 or 504
    :param timeout: seconds without any answer
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        retries: int = 5,
        timeout: float = 300.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ClientError(f"{url!r} is not the address of a portal: it begins with https:// (or http://).")
        self.url = url.rstrip("/")
        self.retries = retries
        self.timeout = timeout
        self._token = token
        self._sleep = sleep
        self._local = threading.local()

    def __repr__(self) -> str:
        return f"Portal({self.url!r})"

    @property
    def session(self) -> requests.Session:
        """The connections of this thread."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        found: requests.Session = self._local.session
        return found

    @property
    def headers(self) -> dict[str, str]:
        """What each request says about its sender."""
        sender = {"User-Agent": "ckan-mlops"}
        return {**sender, "Authorization": self._token} if self._token else sender

    def action(self, name: str, /, *, files: Mapping[str, tuple[str, bytes]] | None = None, **data: Any) -> Any:
        """Call an action; its result.

        :param files: name of the field → file name and content, sent along as they are
        :raises Refused: the portal says no
        :raises ClientError: it does not answer
        """
        remote = ckanapi.RemoteCKAN(self.url, apikey=self._token or None, user_agent="ckan-mlops", session=self.session)
        parts = [(key, value) for key, value in (files or {}).items()] or None
        options = {"timeout": self.timeout}

        def call() -> Any:
            return remote.call_action(name, data, files=parts, requests_kwargs=options)

        try:
            return self._patiently(call)
        except ckanapi.NotFound as error:
            raise Refused(f"{name}: not found{_said(error)}", 404) from None
        except ckanapi.NotAuthorized as error:
            raise Refused(f"{name}: you may not{_said(error)}; is the token right?", 403) from None
        except ckanapi.ValidationError as error:
            raise Refused(f"{name}: {sentence(error.error_dict)}", 409) from None
        except ckanapi.CKANAPIError as error:
            raise ClientError(f"{name}: {self.url} failed, or is no portal: {str(error)[:300]}") from None
        except requests.RequestException as error:
            raise ClientError(f"{self.url} cannot be reached: {type(error).__name__}: {str(error)[:300]}") from None

    def send_file(
        self, action: str, path: Path, fields: Mapping[str, str], *, progress: Progress | None = None
    ) -> dict[str, Any]:
        """Stream a file to an action that takes ``upload``; its content is hashed on the way, and the hash is sent
        behind it. The result has ``sent_hash``.

        :raises Refused: the portal says no
        :raises ClientError: it cannot be reached
        """

        def send() -> dict[str, Any]:
            with path.open("rb") as stream:
                body = _Multipart(fields, path.name, stream, path.stat().st_size, progress)
                response = self.session.post(
                    f"{self.url}/api/3/action/{action}",
                    data=body,
                    headers={**self.headers, "Content-Type": body.content_type},
                    timeout=self.timeout,
                    allow_redirects=False,
                )
            if response.status_code in _AGAIN:
                raise requests.HTTPError(f"HTTP {response.status_code}", response=response)
            answer = _answer(response)
            if not answer.get("success"):
                raise Refused(f"{path}: {sentence(answer.get('error') or {})}", response.status_code)
            return {**answer["result"], "sent_hash": body.digest}

        try:
            return self._patiently(send)
        except requests.RequestException as error:
            raise ClientError(f"{path}: {self.url} cannot be reached: {str(error)[:300]}") from None

    def append_file(self, resource_id: str, path: Path, *, progress: Progress | None = None) -> dict[str, Any]:
        """Send a large file to a resource in parts (``mlops_file_append``); what an earlier call began is continued.

        :raises Refused: the portal says no
        :raises ClientError: it cannot be reached, or the file changes meanwhile
        """
        status = path.stat()
        key = f"{path.name[-100:]}-{status.st_size}-{status.st_mtime_ns}"
        fields: dict[str, Any] = {"id": resource_id, "key": key, "size": status.st_size, "name": path.name}
        received: int = self.action("mlops_file_append", **fields)["received"]
        md5, at = Md5(), 0
        restarted = 0
        with path.open("rb") as stream:
            while True:
                if at > received:  # the portal has less than it had: another one sends, or it was tidied up
                    restarted += 1
                    if restarted > self.retries:
                        raise ClientError(f"{path}: the portal loses what it received; does another upload of it run?")
                    stream.seek(0)
                    md5, at = Md5(), 0
                while at < received and (data := stream.read(min(CHUNK, received - at))):
                    md5.update(data)
                    at += len(data)
                    if progress is not None:
                        progress(len(data))
                part = stream.read(PART)
                md5.update(part)
                last = at + len(part) >= status.st_size
                if at + len(part) != status.st_size if last else not part:
                    raise ClientError(f"{path} changed its size while it was sent: send it again.")
                digest = {"hash": md5.hexdigest()} if last else {}
                files = {"upload": (path.name, part)} if part else None
                answer = self.action("mlops_file_append", files=files, **fields, offset=at, **digest)
                at += len(part)
                if progress is not None:
                    progress(len(part))
                received = answer["received"]
                if answer["resource"] is not None:
                    return {**answer["resource"], "sent_hash": md5.hexdigest()}

    def open(self, address: str, *, start: int = 0) -> requests.Response:
        """A streamed answer from below the portal's address, beginning at byte ``start``; the token goes nowhere else.

        :raises Refused: the portal says no
        :raises ClientError: it cannot be reached
        """
        headers = {**self.headers, "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"

        def ask() -> requests.Response:
            response = self.session.get(f"{self.url}{address}", headers=headers, stream=True, timeout=self.timeout)
            if response.status_code in _AGAIN:
                response.close()
                raise requests.HTTPError(f"HTTP {response.status_code}", response=response)
            return response

        try:
            response = self._patiently(ask)
        except requests.RequestException as error:
            raise ClientError(f"{self.url} cannot be reached: {str(error)[:300]}") from None
        if response.status_code >= 400 and response.status_code != 416:
            text = response.text[:2000] if "text/plain" in response.headers.get("Content-Type", "") else ""
            response.close()
            raise Refused(f"HTTP {response.status_code}: {text.strip() or response.reason}", response.status_code)
        found: requests.Response = response
        return found

    def _patiently(self, call: Callable[[], Any]) -> Any:
        """What ``call`` gives; again after what passes by itself."""
        for attempt in range(self.retries + 1):
            try:
                return call()
            except (requests.ConnectionError, requests.Timeout, requests.HTTPError, ckanapi.CKANAPIError) as error:
                wait = _wait(error, attempt)
                if wait is None or attempt == self.retries:
                    raise
                log.info("%s: %s; again in %.1f s", self.url, error, wait)
                self._sleep(wait)
        raise AssertionError("unreachable")


def _wait(error: Exception, attempt: int) -> float | None:
    """Seconds until it is worth while to try again; None when it is not."""
    pause = min(_MAX_WAIT, 0.5 * 2**attempt) * (0.75 + secrets.randbelow(500) / 1000)
    if isinstance(error, requests.HTTPError) and error.response is not None:
        after = error.response.headers.get("Retry-After", "")
        return min(_MAX_WAIT, float(after)) if after.isdecimal() else pause
    if isinstance(error, ckanapi.CKANAPIError):
        # ckanapi says the status in its message only: [url, status, body].
        return pause if any(f", {status}," in str(error)[:2000] for status in _AGAIN) else None
    return pause


def _answer(response: requests.Response) -> dict[str, Any]:
    try:
        found = response.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ClientError(
            f"HTTP {response.status_code} and no JSON: {response.text[:200]!r}. "
            "A proxy in front of the portal may limit the size of uploads."
        )
    return found


def sentence(error: Any) -> str:
    """CKAN's error dictionary for a person."""
    if not isinstance(error, Mapping):
        return str(error)
    parts = []
    for key, value in error.items():
        if key == "__type":
            continue
        text = "; ".join(map(str, value)) if isinstance(value, list) and all(isinstance(v, str) for v in value) else ""
        text = text or (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        parts.append(text if key == "message" else f"{key}: {text}")
    return ". ".join(parts) or "refused"


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    text = str(said.get("message", "") if isinstance(said, Mapping) else said).removeprefix("Access denied: ")
    return f" ({text[:300]})" if text else ""


class _Multipart:
    """A multipart body of known length around a streamed file; its hash is a field behind the file.

    requests reads the whole file for one of its own, and a library would want the hash before.
    """

    def __init__(
        self, fields: Mapping[str, str], file_name: str, stream: BinaryIO, size: int, progress: Progress | None
    ) -> None:
        self._boundary = secrets.token_hex(16)
        self._stream, self._size, self._progress = stream, size, progress
        head = "".join(self._field(name, value) for name, value in fields.items())
        name = quote(file_name, safe=" !#$&+,;=@^`{}()[]-_.~'")
        head += (
            f'--{self._boundary}\r\nContent-Disposition: form-data; name="upload"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        self._head = head.encode()
        self._tail_length = len(self._tail("0" * 32))
        self.content_type = f"multipart/form-data; boundary={self._boundary}"
        self.digest = ""

    def _field(self, name: str, value: str) -> str:
        return f'--{self._boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'

    def _tail(self, digest: str) -> bytes:
        return f"\r\n{self._field('hash', digest)}--{self._boundary}--\r\n".encode()

    def __len__(self) -> int:
        return len(self._head) + self._size + self._tail_length

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        md5, sent = Md5(), 0
        while data := self._stream.read(min(CHUNK, self._size - sent) or 1):
            sent += len(data)
            if sent > self._size:
                break
            md5.update(data)
            yield data
            if self._progress is not None:
                self._progress(len(data))
        if sent != self._size:
            raise ClientError("The file changed its size while it was sent: send it again.")
        self.digest = md5.hexdigest()
        yield self._tail(self.digest)
