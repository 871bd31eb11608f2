"""MLflow servers and file stores: how one is reached, where its pages are, what can be read of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import quote, urlsplit

from .errors import MlflowError
from .mlflow_records import Experiment, LoggedModel, ModelVersion, RegisteredModel, Run


@dataclass(frozen=True)
class Server:
    """A configured server, or a file store. ``repr`` shows neither its address nor a secret.

    :param uri: address that this machine uses, with the path prefix if there is one, without credentials
    :param folder: of a file store, in place of ``uri``; nothing answers for it, and it has no pages
    :param repository: address of the repository that the file store is committed in
    :param public_url: address for people's browsers; that of ``uri`` when empty
    :param ca_bundle: certificates to trust in place of the system's
    :param client_cert: PEM file of a client certificate, ``client_key`` its key when that is a file of its own
    :param timeout: seconds until an answer begins, and the pause allowed within it; ten times that for a whole answer
    :param max_bytes: of one answer
    :raises MlflowError: an address is not http(s) or holds credentials
    """

    name: str
    uri: str = field(default="", repr=False)
    public_url: str = field(default="", repr=False)
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    verify: bool = True
    ca_bundle: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    timeout: float = 20.0
    max_bytes: int = 64 * 1024**2
    folder: Path | None = field(default=None, repr=False)
    repository: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        addresses = [] if self.folder or self.repository else [("uri", self.uri)]
        for option, text in [*addresses, *([("public_url", self.public_url)] if self.public_url else [])]:
            try:
                parts = urlsplit(text)
                sound = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
            except ValueError:
                sound = False
            if not sound or re.search(r"[\s\x00-\x1f?#]", text):
                raise MlflowError(f"MLflow server {self.name}: {option} must be an http or https address.")
            if "@" in parts.netloc:
                raise MlflowError(
                    f"MLflow server {self.name}: {option} holds credentials; use the options username, password, token."
                )

    @property
    def page_root(self) -> str:
        """Address of the user interface, without a slash at the end; ``""`` for a file store without one."""
        return (self.public_url or self.uri).rstrip("/")


@dataclass(frozen=True)
class Health:
    """State of a server at the time of asking: ``ok``, ``refused`` (it answers, but not to us) or ``unavailable``."""

    server: str
    status: Literal["ok", "refused", "unavailable"]
    version: str = ""
    detail: str = ""


def experiment_page(server: Server, experiment_id: str) -> str:
    """Address of the experiment in MLflow's user interface; ``""`` where there is none."""
    return f"{server.page_root}/#/experiments/{quote(experiment_id, safe='')}" if server.page_root else ""


def run_page(server: Server, run: Run) -> str:
    """Address of the run in MLflow's user interface; ``""`` where there is none."""
    page = experiment_page(server, run.experiment_id)
    return f"{page}/runs/{quote(run.run_id, safe='')}" if page else ""


def model_page(server: Server, name: str, version: str = "") -> str:
    """Address of a registered model, or one version of it, in MLflow's user interface; ``""`` where there is none."""
    if not server.page_root:
        return ""
    page = f"{server.page_root}/#/models/{quote(name, safe='')}"
    return f"{page}/versions/{quote(version, safe='')}" if version else page


class Reader(Protocol):
    """Where facts are read from: a server, or a file store. Every method raises MlflowError."""

    @property
    def name(self) -> str:
        """The server's name in the configuration."""

    def health(self) -> Health:
        """Whether it answers us; never raises."""

    def experiment(self, experiment_id: str) -> Experiment | None:
        """The experiment, also a deleted one."""

    def experiment_by_name(self, name: str) -> Experiment | None:
        """The experiment of that exact name, also a deleted one."""

    def experiments(self, *, deleted: bool = False) -> Iterator[Experiment]:
        """All experiments."""

    def run(self, run_id: str) -> Run | None:
        """The run, also a deleted one."""

    def runs(
        self,
        experiment_ids: Sequence[str],
        filter: str = "",  # noqa: A002 - MLflow's own name
        order_by: Sequence[str] = (),
        limit: int | None = None,
        *,
        deleted: bool | Literal["only"] = False,
    ) -> Iterator[Run]:
        """Runs of the experiments."""

    def registered_models(self) -> Iterator[RegisteredModel]:
        """All names in the model registry."""

    def model_versions(self) -> Iterator[ModelVersion]:
        """All versions in the model registry."""

    def logged_models(
        self,
        experiment_ids: Sequence[str],
        filter: str = "",  # noqa: A002 - MLflow's own name
    ) -> Iterator[LoggedModel]:
        """Models that runs of the experiments logged."""
