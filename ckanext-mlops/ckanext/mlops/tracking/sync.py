"""Copying the facts of an MLflow server into the tables: all experiments, runs and models that its account may see.

Everything is copied, linked or not: which dataset a run belongs to is found out from the facts. Nothing of it is shown
to anybody before a link leads to it.

A *sweep* reads all runs of an experiment, page by page in the order of their start, and finds those that are gone. It
happens at the first sync, then once a day, and when asked for. Between sweeps a sync asks about all experiments
together: which runs ended since the last time, which have not ended, which are deleted. Tags that were set later
are not among the answers (MLflow cannot be asked for them) and come with the next sweep. The model registry is read
whole each time: it is small, and moved aliases and deleted versions are seen at once.

Each batch is committed on its own, with how far it came: a sync that is killed goes on there, and a server that fails
halfway loses nothing. Of two syncs of one server at once the second one leaves it to the first.
"""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ckanext.mlops.core.ahead import ahead
from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.core.mlflow import Experiment, Reader, Run
from ckanext.mlops.model import links
from ckanext.mlops.model import mlflow as facts
from ckanext.mlops.model import mlflow_models as models
from ckanext.mlops.model.tables import Experiment as ExperimentRow
from ckanext.mlops.tracking import links as mlflow_links

log = logging.getLogger(__name__)

#: Newest runs that are copied at once when a person links an experiment; a sync brings the rest.
FIRST_RUNS = 500
SWEEP_EVERY = datetime.timedelta(hours=24)
#: Clocks of training machines differ from ours by at most this, or their runs come with the next sweep.
CLOCK_SKEW = datetime.timedelta(minutes=10)
_UNFINISHED = " AND ".join(f"attributes.status != '{status}'" for status in ("FINISHED", "FAILED", "KILLED"))
_BATCH = 250
_TOGETHER = 100
T = TypeVar("T")


@dataclass
class Report:
    """What a sync of one server did.

    :param experiments, models, model_versions, logged_models: how many were read; ``runs``: how many were written
    :param deleted: runs that MLflow holds as deleted, among those written; ``gone``: runs it no longer knows
    :param busy: another sync of this server was under way, and nothing was done
    :param errors: what the server refused or failed to do, ``problems``: what a dataset's owner should look at;
        sentences for people
    """

    server: str
    experiments: int = 0
    runs: int = 0
    deleted: int = 0
    gone: int = 0
    models: int = 0
    model_versions: int = 0
    logged_models: int = 0
    seconds: float = 0.0
    busy: bool = False
    errors: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def sync_server(
    session: Session, client: Reader, clock: Callable[[], datetime.datetime], *, full: bool = False
) -> Report:
    """Copy everything that is new on one server. Commits.

    Errors of the server are in the report; what was read before them is kept.

    :param clock: now, as naive UTC
    :param full: sweep every experiment, whenever that was done last
    """
    name, began, started = client.name, clock(), time.monotonic()
    with _alone(session, name) as own:
        if own is None:
            return Report(name, busy=True)
        copier = _Copier(own, client, clock)
        error = ""
        try:
            copier.everything(full)
        except MlflowError as problem:
            error = str(problem)
            copier.report.errors.append(error)
        own.rollback()
        if not error:
            found = mlflow_links.after_sync(own, name, clock)
            log.info("%s: %s", name, found.summary())
        facts.record_contact(own, name, clock(), error)
        if not error:
            facts.sync_began(own, name, began)
        own.commit()
    copier.report.seconds = round(time.monotonic() - started, 3)
    return copier.report


def copy_experiment(session: Session, client: Reader, found: Experiment, now: datetime.datetime) -> int:
    """Write an experiment's facts and those of its newest :data:`FIRST_RUNS` runs. Returns how many runs.

    :raises MlflowError: the server refused or failed
    """
    newest = list(client.runs([found.experiment_id], limit=FIRST_RUNS + 1, deleted=True))
    facts.store_experiments(session, client.name, [found], now)
    facts.experiments_read(session, client.name, [found.experiment_id], now, all_runs=len(newest) <= FIRST_RUNS)
    return facts.store_runs(session, client.name, newest[:FIRST_RUNS], now)


def copy_run(session: Session, client: Reader, run: Run, now: datetime.datetime) -> None:
    """Write a run's facts and those of its experiment.

    :raises MlflowError: the server refused or failed
    """
    experiment = client.experiment(run.experiment_id)
    if experiment:
        facts.store_experiments(session, client.name, [experiment], now)
    facts.store_runs(session, client.name, [run], now)


def find_experiment(client: Reader, target: str) -> Experiment | None:
    """The experiment of that id, or else of that name.

    :raises MlflowError: the server refused or failed
    """
    found = client.experiment(target) if target.isascii() and target.isdigit() and len(target) < 19 else None
    return found or client.experiment_by_name(target)


@contextmanager
def _alone(session: Session, server: str) -> Iterator[Session | None]:
    """A session of its own for the only sync of the server; None when there is another one.

    It stays on one connection: CKAN's sessions open one for each transaction, which takes as long as what a sync
    without news has to do. The lock is the connection's, too, and ends with the process.
    """
    engine = sa.inspect(session.get_bind()).engine
    key = {"kind": "mlops mlflow sync", "server": server}
    session.commit()  # what it has read is old from now on
    with engine.connect() as connection:
        got = bool(connection.scalar(sa.text("SELECT pg_try_advisory_lock(hashtext(:kind), hashtext(:server))"), key))
        connection.commit()
        if not got:
            yield None
            return
        try:
            with Session(connection, autoflush=False, expire_on_commit=False) as own:
                yield own
        finally:
            connection.rollback()
            connection.execute(sa.text("SELECT pg_advisory_unlock(hashtext(:kind), hashtext(:server))"), key)
            connection.commit()


class _Copier:
    """One sync of one server."""

    def __init__(self, session: Session, client: Reader, clock: Callable[[], datetime.datetime]) -> None:
        self.session, self.client, self.clock = session, client, clock
        self.server = client.name
        self.report = Report(self.server)

    def everything(self, full: bool) -> None:
        now = self.clock()
        facts.record_contact(self.session, self.server, now)
        ids = self._experiments()
        due: list[ExperimentRow] = []
        fresh: list[tuple[str, datetime.datetime]] = []
        for row in facts.experiments(self.session, [(self.server, item) for item in ids]).values():
            if full or not row.swept or now - row.swept >= SWEEP_EVERY:
                due.append(row)
            else:
                fresh.append((row.experiment_id, row.facts_at))
        self._sweeps(due, full, now)
        for group in _groups(fresh, _TOGETHER):
            with self._reported("new runs"):
                self._news([item for item, _ in group], min(read for _, read in group) - CLOCK_SKEW)
        # After the runs: a version's run can be known from its logged model only.
        with self._reported("registered models"):
            self._registry()
        self._problems()

    def _experiments(self) -> list[str]:
        """Ids of all experiments, their own facts renewed."""
        ids: list[str] = []
        for batch in _groups(self.client.experiments(deleted=True), 1000):
            ids += facts.store_experiments(self.session, self.server, batch, self.clock())
        lost = []
        for item in facts.experiments_unseen(self.session, self.server, ids):
            # Pages shift while they are read: what is not on any of them is asked for by its id.
            if found := self.client.experiment(item):
                ids += facts.store_experiments(self.session, self.server, [found], self.clock())
            else:
                lost.append(item)
        facts.experiments_gone(self.session, self.server, lost, self.clock())
        self.session.commit()
        self.report.experiments = len(ids)
        return ids

    def _registry(self) -> None:
        began, report = self.clock(), self.report
        for found in _groups(self.client.registered_models(), 1000):
            report.models += models.store_registered_models(self.session, self.server, found, self.clock())
        for versions in _groups(self.client.model_versions(), 1000):
            report.model_versions += models.store_model_versions(self.session, self.server, versions, self.clock())
            self.session.commit()
        models.registry_read(self.session, self.server, began)
        self.session.commit()

    def _sweeps(self, due: Iterable[ExperimentRow], full: bool, now: datetime.datetime) -> None:
        """All runs of the experiments; a sweep that was broken off goes on where it was."""
        together: dict[tuple[datetime.datetime | None, int | None], list[str]] = {}
        for row in due:
            fresh = full or not row.sweep_began or now - row.sweep_began >= SWEEP_EVERY
            place = (None, None) if fresh else (row.sweep_began, row.sweep_from)
            together.setdefault(place, []).append(row.experiment_id)
        total, done = sum(map(len, together.values())), 0
        for (began, position), ids in together.items():
            for group in _groups(ids, _TOGETHER):
                done += len(group)
                with self._reported("all runs"):
                    self._sweep(group, began or self.clock(), position, f"{self.server}: {done} of {total} experiments")

    def _sweep(self, ids: list[str], began: datetime.datetime, position: int | None, label: str) -> None:
        count = 0
        question = f"attributes.start_time >= {position}" if position else ""
        found = self.client.runs(ids, question, ["attributes.start_time ASC"], deleted=True)
        for batch in ahead(_groups(found, _BATCH)):
            self._store(batch)
            count += len(batch)
            position = max([position or 0, *(_milliseconds(run.start) for run in batch)]) or None
            facts.sweep_reached(self.session, self.server, ids, began, position)
            self.session.commit()
            log.info("%s: %d runs", label, count)
        self._logged_models(ids)
        self._by_id(ids, facts.runs_unseen(self.session, self.server, ids, began))
        models.unseen_logged_models_gone(self.session, self.server, ids, began)
        facts.experiments_read(self.session, self.server, ids, began, all_runs=True)
        self.session.commit()
        log.info("%s: read", label)

    def _news(self, ids: list[str], since: datetime.datetime) -> None:
        started, moment = self.clock(), int(since.replace(tzinfo=datetime.UTC).timestamp() * 1000)
        seen: set[str] = set()
        for question, deleted in (
            (f"attributes.end_time > {moment}", False),
            (_UNFINISHED, False),
            ("", True),
        ):
            found = self.client.runs(ids, question, deleted="only" if deleted else False)
            for batch in _groups((run for run in found if run.run_id not in seen), _BATCH):
                self._store(batch)
                self.session.commit()
                seen.update(run.run_id for run in batch)
        self._by_id(ids, facts.doubtful_runs(self.session, self.server, ids, started))
        self._logged_models(ids, moment)
        facts.experiments_read(self.session, self.server, ids, started, all_runs=False)
        self.session.commit()
        log.info("%s: %d experiments, %d runs read again", self.server, len(ids), len(seen))

    def _logged_models(self, ids: list[str], since: int = 0) -> None:
        question = f"last_updated_timestamp > {since}" if since else ""
        for batch in _groups(self.client.logged_models(ids, question), _BATCH):
            self.report.logged_models += models.store_logged_models(self.session, self.server, batch, self.clock())
            self.session.commit()

    def _by_id(self, experiment_ids: list[str], run_ids: Sequence[str]) -> None:
        for group in _groups(run_ids, _TOGETHER):
            quoted = ", ".join(f"'{run_id}'" for run_id in group if "'" not in run_id)
            found = list(self.client.runs(experiment_ids, f"attributes.run_id IN ({quoted})", deleted=True))
            self._store(found)
            lost = set(group) - {run.run_id for run in found}
            self.report.gone += facts.runs_gone(self.session, self.server, lost, self.clock())

    def _store(self, batch: Sequence[Run]) -> None:
        self.report.runs += facts.store_runs(self.session, self.server, batch, self.clock())
        self.report.deleted += sum(run.deleted for run in batch)

    def _problems(self) -> None:
        """What datasets link to or declare and the server does not have."""
        targets = links.targets(self.session, self.server, "experiment")
        known = facts.experiments(self.session, [(self.server, target) for target in targets])
        for target in targets:
            row = known.get((self.server, target))
            if row is None or row.lifecycle_stage == facts.GONE:
                self.report.problems.append(
                    f"MLflow server {self.server}: experiment {target} no longer exists; its facts are kept."
                )
        for name in sorted({item.experiment for item in links.all_declared(self.session, self.server)}):
            row = facts.experiment_named(self.session, self.server, name)
            if row is None or row.lifecycle_stage == facts.GONE:
                self.report.problems.append(
                    f"MLflow server {self.server}: datasets declare the experiment '{name[:200]}', which it does "
                    f"not have; correct their field mlflow_experiment or create it."
                )

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        """Puts an error about one thing into the report; lets it through when the server as a whole does not serve."""
        try:
            yield
        except MlflowError as error:
            self.session.rollback()
            if self.client.health().status != "ok":
                raise
            self.report.errors.append(f"{error} ({what})")


def _milliseconds(time_text: str) -> int:
    return int(datetime.datetime.fromisoformat(time_text).timestamp() * 1000) if time_text else 0


def _groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
