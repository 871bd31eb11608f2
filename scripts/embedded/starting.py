"""From nothing, or from what a crash left, to a healthy portal; and back to nothing."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from embedded import bootstrap
from embedded.errors import ServiceError
from embedded.launch import marked
from embedded.portal_services import SITE, applications, ckan_environment, outside_services, services, stores, write_ini
from embedded.ports import require_free
from embedded.running import last_lines
from embedded.secret_files import Credentials, save_credentials, write_secret
from embedded.service import Service, healthy
from embedded.settings import Settings
from embedded.site.ini import PLUGINS
from embedded.supervision import Supervisor, sweep

START_SECONDS = 180
HOME_SPACE = 1 << 30  # bytes
Report = Callable[[str], None]


class Starter:
    """Starts and stops one portal.

    :ivar report: told what is being done, for a person to read
    """

    def __init__(self, settings: Settings, report: Report) -> None:
        self.settings = settings
        self.report = report
        self.supervisor = Supervisor(settings.home)

    def start(self) -> None:
        """Start everything that is the portal's own; return when all of it is healthy.

        :raises PortalError: something does not start; everything is stopped again
        """
        settings = self.settings
        bootstrap.require_space(settings.home, HOME_SPACE, "the portal's data")
        if count := len(marked(str(settings.home))):
            self.report(f"An earlier portal was killed here; stopping the {count} processes that it left")
        self.stop()
        everything = services(settings)
        self._require_ports(everything)
        settings.logs.mkdir(parents=True, exist_ok=True)
        try:
            for service in everything:
                service.folder.mkdir(parents=True, exist_ok=True)
                if service.prepare:
                    self.report(f"Preparing {service.title}")
                    service.prepare()
            write_ini(settings)
            self.supervisor.write(everything, settings.python)
            self.supervisor.start()
            self._bring_up(stores(settings))
            self._check_outside()
            self._databases()
            later = applications(settings)
            visited = [service for service in later if service.address]
            working = [service for service in later if not service.address]
            self._begin([service for service in visited if service.name == "mlflow"])
            self._prepare_ckan()  # while MLflow migrates its database
            self._begin([service for service in visited if service.name == "ckan"])
            self._await(visited)
            self._bring_up(working)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> int:
        """Stop everything; how many processes a killed supervisor had left.

        :raises ServiceError: a process cannot be ended
        """
        self.supervisor.stop()
        return sweep(self.settings.home, services(self.settings))

    def _require_ports(self, everything: Sequence[Service]) -> None:
        for service in everything:
            if service.listens:
                option = "--port" if service.name == "ckan" else f"--{service.name}-port"
                require_free(*service.listens, service.title, option)

    def _bring_up(self, batch: Sequence[Service]) -> None:
        self._begin(batch)
        self._await(batch)

    def _begin(self, batch: Sequence[Service]) -> None:
        for service in batch:
            self.report(f"Starting {service.title}")
            self.supervisor.start_service(service)

    def _await(self, batch: Sequence[Service]) -> None:
        waiting, end = list(batch), time.monotonic() + START_SECONDS
        while waiting:
            states = self.supervisor.states()
            for service in list(waiting):
                state = states[service.name]["statename"]
                if state in ("BACKOFF", "FATAL", "EXITED"):
                    self._fail(service, "ends at once")
                if problem := healthy(service.check) or ("" if state == "RUNNING" else state.lower()):
                    if time.monotonic() > end:
                        self._fail(service, f"is not ready after {START_SECONDS} s ({problem})")
                else:
                    waiting.remove(service)
            self.report("Waiting for " + ", ".join(service.title for service in waiting))
            time.sleep(0.2)

    def _fail(self, service: Service, what: str) -> None:
        log = self.settings.logs / f"{service.name}.log"
        raise ServiceError(f"{service.title} {what}. Its log {log} ends with:\n{last_lines(log)}")

    def _check_outside(self) -> None:
        for outside in outside_services(self.settings):
            if problem := healthy(outside.check):
                raise ServiceError(
                    f"Your {outside.title}, named in {self.settings.home / 'portal.toml'}, cannot be used: {problem}"
                )

    def _databases(self) -> None:
        settings = self.settings
        if settings.postgres is None:
            return
        if not settings.config.postgres.url:
            settings.postgres.create_database("ckan", settings.secrets.postgres_ckan)
        if settings.mlflow and not settings.config.postgres.mlflow_url:
            settings.postgres.create_database("mlflow", settings.secrets.postgres_mlflow)

    def _prepare_ckan(self) -> None:
        settings, credentials = self.settings, self.settings.credentials
        database = Stamp(settings.home / "ckan" / ".prepared", self._database_state())
        # Beside an index of our own, so that both vanish together.
        index_home = settings.solr.folder if settings.solr else settings.home / "ckan"
        index = Stamp(index_home / ".indexed", self._index_state())
        if credentials.api_token and database.holds() and index.holds():
            return
        self.report("Preparing CKAN: database, sysadmin, search index")
        questions = {
            "user": credentials.user,
            "password": credentials.password,
            "api_token": credentials.api_token,
            "reindex": not index.holds(),
        }
        log = settings.logs / "prepare.log"
        log.touch(mode=0o600)
        with log.open("wb") as file:
            result = subprocess.run(
                [str(settings.python), str(SITE / "prepare.py")],
                cwd=settings.home / "ckan",
                env={**os.environ, **ckan_environment(settings)},
                input=json.dumps(questions).encode(),
                stdout=subprocess.PIPE,
                stderr=file,
                check=False,
            )
        if result.returncode:
            raise ServiceError(f"CKAN cannot be prepared. The log {log} ends with:\n{last_lines(log)}")
        answer = json.loads(result.stdout.splitlines()[-1])
        if answer["password_kept"]:
            self.report(f"The user {credentials.user} was there already and keeps the password that it has")
        save_credentials(
            settings.credentials_file, Credentials(credentials.user, credentials.password, answer["api_token"])
        )
        database.write()
        index.write()

    def _database_state(self) -> str:
        """Changes whenever the tables may have to."""
        settings = self.settings
        migrations = sorted((settings.checkout / "ckanext-mlops").rglob("migration/**/versions/*.py"))
        plugins = settings.config.ckan.options.get("ckan.plugins", PLUGINS)
        return _digest(settings.database_url, plugins, settings.checkout / "requirements.lock", *migrations)

    def _index_state(self) -> str:
        """Changes whenever every dataset must be indexed again."""
        schema = [self.settings.solr.folder / "home/ckan/conf/schema.xml"] if self.settings.solr else []
        return _digest(self.settings.solr_url, *schema)


@dataclass(frozen=True)
class Stamp:
    """Remembers in a file for which state something was done."""

    file: Path
    state: str

    def holds(self) -> bool:
        """It was done for this state."""
        return self.file.exists() and self.file.read_text(encoding="utf-8") == self.state

    def write(self) -> None:
        """It is done."""
        write_secret(self.file, self.state)


def _digest(*parts: str | Path) -> str:
    digest = sha256()
    for part in parts:
        digest.update(sha256(part.encode() if isinstance(part, str) else part.read_bytes()).digest())
    return digest.hexdigest()


def last_words(supervisor: Supervisor, position: int) -> tuple[list[str], int]:
    """What the supervisor noted about its services since a position in its log, and the new position."""
    try:
        size = supervisor.log.stat().st_size
        with supervisor.log.open("rb") as file:
            file.seek(position if position <= size else 0)
            text = file.read()
    except OSError:
        return [], position
    complete = text[: text.rfind(b"\n") + 1]
    start = position if position <= size else 0
    lines = complete.decode("utf-8", "replace").splitlines()
    return [line for line in lines if " exited: " in line or " spawned: " in line], start + len(complete)
