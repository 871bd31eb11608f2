"""Reading MLflow tracking servers over REST: searches only, nothing is written and no artifact is fetched.

A server is configured by the operator under a name; every message uses that name, never the address or a credential.
``MlflowClient`` yields the records of :mod:`.mlflow_records`:

    >>> client = MlflowClient(Server("lab", "http://127.0.0.1:5000"))  # doctest: +SKIP
    >>> for run in client.runs(["1"], "metrics.accuracy > 0.8", order_by=["metrics.accuracy DESC"], limit=10):
    ...     print(run.name, run.metrics, run_page(client.server, run))  # doctest: +SKIP

The endpoints are MLflow's own (REST API 2.0, the same in MLflow 2 and 3). Reading needs only the permission READ: use a
dedicated account.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, TypeVar

import requests
import urllib3

from .errors import MlflowError, MlflowUnavailable
from .mlflow_records import (
    DatasetInput,
    Experiment,
    LoggedModel,
    ModelVersion,
    RegisteredModel,
    Run,
    clean_text,
    parse_experiment,
    parse_logged_model,
    parse_model_version,
    parse_registered_model,
    parse_run,
)
from .mlflow_server import Health, Reader, Server, experiment_page, model_page, run_page
from .said import said

__all__ = [
    "DatasetInput",
    "Experiment",
    "Health",
    "LoggedModel",
    "MlflowClient",
    "ModelVersion",
    "Reader",
    "RegisteredModel",
    "Run",
    "Server",
    "experiment_page",
    "model_page",
    "run_page",
]

T = TypeVar("T")

_API = "/api/2.0/mlflow/"
_MAX_PAGES = 100_000
#: Pages in a row without anything on them; where an account may not see much, some are.
_MAX_EMPTY = 100
#: MLflow makes the next page while one is written; of pages as large as it allows there would often be one.
_RUNS_PAGE = 500
_SMALL_PAGE = 25
_RETRIED = {429, 500, 502, 503, 504}


class _TooLarge(MlflowError):
    """One answer is over the server's ``max_bytes``."""


class _TooSlow(MlflowUnavailable):
    """No answer in time."""


class _Missing(MlflowError):
    """The thing does not exist."""


class _NoEndpoint(MlflowError):
    """The server has no such endpoint."""


class MlflowClient:
    """Reads one server. Every method raises MlflowError, or MlflowUnavailable when trying later may help.

    :param session: carries connections; certificates and credentials come from ``server`` alone
    :param retries: further attempts after no answer, half an answer, a 429 or a 5xx
    :param sleep: waits between attempts
    """

    def __init__(
        self,
        server: Server,
        session: requests.Session | None = None,
        *,
        retries: int = 2,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.server = server
        self._session = session or requests.Session()
        # The environment's proxies, certificates and .netrc must not decide where a credential goes.
        self._session.trust_env = False
        self._retries = retries
        self._sleep = sleep

    @property
    def name(self) -> str:
        """The server's name in the configuration."""
        return self.server.name

    def health(self) -> Health:
        """Whether the server answers us; never raises."""
        name = self.server.name
        try:
            self._search("POST", "experiments/search", {"max_results": 1}, attempts=1)
        except MlflowUnavailable as error:
            return Health(name, "unavailable", detail=str(error))
        except MlflowError as error:
            return Health(name, "refused", detail=str(error))
        try:
            version = clean_text(self._send("GET", "/version", {}).decode("utf-8", "replace").strip(), 50)
        except MlflowError:
            version = ""
        return Health(name, "ok", version if re.fullmatch(r"[0-9][\w.+-]*", version) else "")

    def experiment(self, experiment_id: str) -> Experiment | None:
        """The experiment, also a deleted one; None when there is none."""
        return self._one("experiments/get", {"experiment_id": experiment_id}, "experiment", parse_experiment)

    def experiment_by_name(self, name: str) -> Experiment | None:
        """The experiment of that exact name, also a deleted one; None when there is none."""
        query = {"experiment_name": name}
        return self._one("experiments/get-by-name", query, "experiment", parse_experiment)

    def experiments(self, *, deleted: bool = False) -> Iterator[Experiment]:
        """All experiments that we may see; ``deleted`` adds the deleted ones."""
        body = {"max_results": 1000, "view_type": "ALL" if deleted else "ACTIVE_ONLY"}
        return self._pages("POST", "experiments/search", body, "experiments", parse_experiment)

    def run(self, run_id: str) -> Run | None:
        """The run, also a deleted one; None when there is none."""
        return self._one("runs/get", {"run_id": run_id}, "run", parse_run)

    def runs(
        self,
        experiment_ids: Sequence[str],
        filter: str = "",  # noqa: A002 - MLflow's own name
        order_by: Sequence[str] = (),
        limit: int | None = None,
        *,
        deleted: bool | Literal["only"] = False,
    ) -> Iterator[Run]:
        """Runs of the experiments, newest first unless ``order_by`` says otherwise.

        :param filter: in MLflow's search syntax; it is data to MLflow, an error in it raises MlflowError
        :param limit: stop after that many
        :param deleted: True adds the deleted runs, ``"only"`` gives them alone
        """
        if not experiment_ids or limit == 0:
            return iter(())
        body = {
            "experiment_ids": list(experiment_ids),
            "filter": filter,
            "order_by": list(order_by),
            "run_view_type": "DELETED_ONLY" if deleted == "only" else "ALL" if deleted else "ACTIVE_ONLY",
            "max_results": min(limit or _RUNS_PAGE, _RUNS_PAGE),
        }
        found = self._pages("POST", "runs/search", body, "runs", parse_run)
        return found if limit is None else islice(found, limit)

    def registered_models(self) -> Iterator[RegisteredModel]:
        """All names in the model registry."""
        path = "registered-models/search"
        return self._pages("GET", path, {"max_results": 1000}, "registered_models", parse_registered_model)

    def model_versions(self, filter: str = "") -> Iterator[ModelVersion]:  # noqa: A002 - MLflow's own name
        """All versions in the model registry, or those of a filter (``name='m'``, ``run_id='...'``)."""
        body = {"max_results": 1000, **({"filter": filter} if filter else {})}
        return self._pages("GET", "model-versions/search", body, "model_versions", parse_model_version)

    def logged_models(
        self,
        experiment_ids: Sequence[str],
        filter: str = "",  # noqa: A002 - MLflow's own name
    ) -> Iterator[LoggedModel]:
        """Models that runs of the experiments logged; none on MLflow 2, which has no such thing."""
        if not experiment_ids:
            return
        body: dict[str, Any] = {"experiment_ids": list(experiment_ids), "max_results": 50}
        if filter:
            body["filter"] = filter
        try:
            yield from self._pages("POST", "logged-models/search", body, "models", parse_logged_model)
        except _NoEndpoint:
            return

    def _one(self, path: str, query: dict[str, Any], key: str, parse: Callable[[Any], T]) -> T | None:
        try:
            return self._parsed(parse, self._search("GET", path, query).get(key))
        except _Missing:
            return None

    def _pages(
        self, method: str, path: str, arguments: dict[str, Any], key: str, parse: Callable[[Any], T]
    ) -> Iterator[T]:
        token, seen, empty = "", set(), 0
        size: int = arguments["max_results"]
        for _ in range(_MAX_PAGES):
            page = {**arguments, "max_results": size, **({"page_token": token} if token else {})}
            try:
                data = self._search(method, path, page)
            except _TooLarge:
                if size == 1:
                    raise
                size = max(1, size // 8)
                continue
            except _TooSlow:
                # A busy server needs long for a thousand runs; it may have the time for a few.
                if size <= _SMALL_PAGE or not self._retries:
                    raise
                size = max(_SMALL_PAGE, size // 4)
                continue
            items = data.get(key, [])
            if not isinstance(items, list):
                raise self._nonsense()
            for item in items:
                yield self._parsed(parse, item)
            token = data.get("next_page_token") or ""
            if not token:
                return
            empty = 0 if items else empty + 1
            if not isinstance(token, str) or token in seen or empty > _MAX_EMPTY:
                raise self._nonsense()
            seen.add(token)
        raise MlflowError(f"MLflow server {self.server.name}: {path} has more than {_MAX_PAGES:,} pages.")

    def _parsed(self, parse: Callable[[Any], T], data: Any) -> T:
        try:
            return parse(data)
        except (ValueError, TypeError, AttributeError) as error:
            raise self._nonsense() from error

    def _search(
        self, method: str, path: str, arguments: dict[str, Any], *, attempts: int | None = None
    ) -> dict[str, Any]:
        body = self._send(method, _API + path, arguments, attempts)
        try:
            data = json.loads(body.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            raise self._nonsense() from error
        if not isinstance(data, dict):
            raise self._nonsense()
        return data

    def _send(self, method: str, path: str, arguments: dict[str, Any], attempts: int | None = None) -> bytes:
        attempts = attempts or self._retries + 1
        for attempt in range(1, attempts + 1):
            try:
                return self._attempt(method, path, arguments)
            except MlflowUnavailable as error:
                large = isinstance(error, _TooSlow) and arguments.get("max_results", 0) > _SMALL_PAGE
                if attempt == attempts or large:
                    raise
                self._sleep(0.3 * 2**attempt)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _attempt(self, method: str, path: str, arguments: dict[str, Any]) -> bytes:
        server = self.server
        deadline = time.monotonic() + 10 * server.timeout
        try:
            with self._session.request(
                method,
                server.uri.rstrip("/") + path,
                params=arguments if method == "GET" else None,
                json=arguments if method == "POST" else None,
                headers={"Accept": "application/json", **self._token_header()},
                auth=(server.username, server.password) if server.username and not server.token else None,
                timeout=server.timeout,
                verify=str(server.ca_bundle) if server.ca_bundle and server.verify else server.verify,
                cert=self._certificate(),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = bytearray()
                # read1 returns what has come; requests' own iteration waits for a whole piece of a dripping answer.
                while chunk := response.raw.read1(1 << 16, decode_content=True):
                    body += chunk
                    if len(body) > server.max_bytes:
                        raise _TooLarge(
                            f"MLflow server {server.name}: an answer is larger than {server.max_bytes:,} bytes; "
                            f"raise max_bytes, or log smaller dataset profiles."
                        )
                    if time.monotonic() > deadline:
                        raise MlflowUnavailable(f"MLflow server {server.name}: it answers too slowly; try again later.")
                if response.status_code != 200:
                    raise self._refusal(response.status_code, bytes(body))
                return bytes(body)
        except requests.exceptions.SSLError:
            raise MlflowError(
                f"MLflow server {server.name}: its TLS certificate is not trusted, or it does not accept ours; "
                f"see the options ca_bundle and client_cert."
            ) from None
        except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError):
            raise _TooSlow(
                f"MLflow server {server.name}: no answer within {server.timeout:g} s; try again later."
            ) from None
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            raise MlflowUnavailable(
                f"MLflow server {server.name}: the connection failed or broke off; is it running?"
            ) from None

    def _token_header(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.token}"} if self.server.token else {}

    def _certificate(self) -> str | tuple[str, str] | None:
        cert, key = self.server.client_cert, self.server.client_key
        if cert is None:
            return None
        return (str(cert), str(key)) if key else str(cert)

    def _refusal(self, status: int, body: bytes) -> MlflowError:
        name = self.server.name
        text = body[:20_000].decode("utf-8", "replace")
        code = message = ""
        try:
            data = json.loads(text)
            code, message = str(data["error_code"]), clean_text(data.get("message"), 500)
        except (ValueError, KeyError, TypeError, RecursionError):
            message = ""
        if status in _RETRIED:
            return MlflowUnavailable(f"MLflow server {name}: it answers with error {status}; try again later.")
        if code == "RESOURCE_DOES_NOT_EXIST":
            return _Missing(f"MLflow server {name}: it does not know this; it may have been deleted. {message}".strip())
        if status == 404:
            return _NoEndpoint(str(self._nonsense()))
        if 300 <= status < 400:
            return MlflowError(f"MLflow server {name}: it redirects; set its final address in the option uri.")
        if status == 403 and "invalid host header" in text.lower():
            return MlflowError(
                f"MLflow server {name}: it refuses the host name by which it is called (Invalid Host header); "
                f"start it with --allowed-hosts naming the host of the option uri."
            )
        if status in (401, 403):
            return MlflowError(
                f"MLflow server {name}: access was denied ({status}); check the options username, password, token and "
                f"that this account may read."
            )
        return MlflowError(said(f"MLflow server {name}: it refuses the request ({status}). {message}").strip())

    def _nonsense(self) -> MlflowError:
        return MlflowError(
            f"MLflow server {self.server.name}: the answer is not that of MLflow's API; check the option uri, "
            f"its path prefix, and whether a login page is in front of it."
        )
