"""Copying facts from an MLflow server into the tables, for what the datasets are linked to.

A *sweep* reads all runs of an experiment, page by page, and finds those that are gone. It happens at the first sync,
then once a day, and when asked for. Between sweeps a sync asks four questions about all experiments together: which
runs ended or began since the last time, which are running, which are deleted. Tags that were set later are not among
the answers (MLflow cannot be asked for them) and come with the next sweep. Each batch is committed on its own, so a
server that fails halfway loses nothing.
"""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from ckanext.mlops.core.errors import MlflowError
from ckanext.mlops.core.mlflow import Experiment, MlflowClient, Run
from ckanext.mlops.model import links
from ckanext.mlops.model import mlflow as facts

log = logging.getLogger(__name__)

#: Newest runs that are copied at once when a person links an experiment; a sync brings the rest.
FIRST_RUNS = 500
SWEEP_EVERY = datetime.timedelta(hours=24)
#: Clocks of training machines differ from ours by at most this, or their runs come with the next sweep.
CLOCK_SKEW = datetime.timedelta(minutes=10)
_BATCH = 500
_TOGETHER = 100
T = TypeVar("T")


@dataclass
class Report:
    """What a sync of one server did.

    :param experiments: experiments that were read, ``runs``: runs whose facts were written
    :param deleted: runs that MLflow holds as deleted, among those written; ``gone``: runs it no longer knows
    :param errors: what the server refused or failed to do, ``problems``: what a dataset's owner should look at;
        sentences for people
    """

    server: str
    experiments: int = 0
    runs: int = 0
    deleted: int = 0
    gone: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def sync_server(
    session: Session, client: MlflowClient, clock: Callable[[], datetime.datetime], *, full: bool = False
) -> Report:
    """Refresh the facts of everything that datasets link to, or declare, on one server. Commits.

    Errors of the server are in the report; what was read before them is kept.

    :param clock: now, as naive UTC
    :param full: sweep every experiment, whenever that was done last
    """
    copier = _Copier(session, client, clock)
    started = time.monotonic()
    error = ""
    try:
        copier.everything(full)
    except MlflowError as problem:
        error = str(problem)
        copier.report.errors.append(error)
    session.rollback()
    facts.record_contact(session, client.server.name, clock(), error)
    session.commit()
    copier.report.seconds = round(time.monotonic() - started, 3)
    return copier.report


def copy_experiment(session: Session, client: MlflowClient, found: Experiment, now: datetime.datetime) -> int:
    """Write an experiment's facts and those of its newest :data:`FIRST_RUNS` runs. Returns how many runs.

    :raises MlflowError: the server refused or failed
    """
    name = client.server.name
    newest = list(client.runs([found.experiment_id], limit=FIRST_RUNS + 1, deleted=True))
    facts.store_experiment(session, name, found, now)
    facts.experiments_read(session, name, [found.experiment_id], now, all_runs=len(newest) <= FIRST_RUNS)
    return facts.store_runs(session, name, newest[:FIRST_RUNS], now)


def copy_run(session: Session, client: MlflowClient, run: Run, now: datetime.datetime) -> None:
    """Write a run's facts and those of its experiment.

    :raises MlflowError: the server refused or failed
    """
    experiment = client.experiment(run.experiment_id)
    if experiment:
        facts.store_experiment(session, client.server.name, experiment, now)
    facts.store_runs(session, client.server.name, [run], now)


def find_experiment(client: MlflowClient, target: str) -> Experiment | None:
    """The experiment of that id, or else of that name.

    :raises MlflowError: the server refused or failed
    """
    found = client.experiment(target) if target.isascii() and target.isdigit() and len(target) < 19 else None
    return found or client.experiment_by_name(target)


class _Copier:
    """One sync of one server."""

    def __init__(self, session: Session, client: MlflowClient, clock: Callable[[], datetime.datetime]) -> None:
        self.session, self.client, self.clock = session, client, clock
        self.server = client.server.name
        self.report = Report(self.server)

    def everything(self, full: bool) -> None:
        ids, run_ids = self._experiments(), links.targets(self.session, self.server, "run")
        if not ids and not run_ids:
            health = self.client.health()
            if health.status != "ok":
                raise MlflowError(health.detail)
        now = self.clock()
        due: list[tuple[str, str]] = []
        fresh: list[tuple[str, datetime.datetime]] = []
        for row in facts.experiments(self.session, [(self.server, item) for item in ids]).values():
            if full or not row.swept or now - row.swept >= SWEEP_EVERY:
                due.append((row.experiment_id, row.name))
            else:
                fresh.append((row.experiment_id, row.facts_at))
        for position, (item, name) in enumerate(due, 1):
            with self._reported(f"experiment {name}"):
                self._sweep(item, f"{self.server}: experiment {name} ({position} of {len(due)})")
        for group in _groups(fresh, _TOGETHER):
            with self._reported("new runs"):
                self._news([item for item, _ in group], min(read for _, read in group) - CLOCK_SKEW)
        self._single_runs(run_ids, set(ids))

    def _experiments(self) -> list[str]:
        """Ids of all linked and declared experiments that exist, their own facts renewed."""
        wanted: dict[str, None] = {}
        for target in links.targets(self.session, self.server, "experiment"):
            with self._reported(f"experiment {target}"):
                found = self.client.experiment(target)
                if found:
                    facts.store_experiment(self.session, self.server, found, self.clock())
                    wanted[target] = None
                else:
                    facts.experiment_gone(self.session, self.server, target)
                    self.report.problems.append(
                        f"MLflow server {self.server}: experiment {target} no longer exists; its facts are kept."
                    )
        for name in sorted({item.experiment for item in links.all_declared(self.session, self.server)}):
            with self._reported(f"experiment {name}"):
                found = self.client.experiment_by_name(name)
                if found:
                    facts.store_experiment(self.session, self.server, found, self.clock())
                    wanted[found.experiment_id] = None
                else:
                    self.report.problems.append(
                        f"MLflow server {self.server}: datasets declare the experiment '{name[:200]}', which it does "
                        f"not have; correct their field mlflow_experiment or create it."
                    )
        self.session.commit()
        self.report.experiments = len(wanted)
        return list(wanted)

    def _sweep(self, experiment_id: str, label: str) -> None:
        started, count = self.clock(), 0
        for batch in _groups(self.client.runs([experiment_id], deleted=True), _BATCH):
            self._store(batch)
            count += len(batch)
            log.info("%s: %d runs", label, count)
        self.report.gone += facts.unseen_runs_gone(self.session, self.server, experiment_id, started)
        facts.experiments_read(self.session, self.server, [experiment_id], started, all_runs=True)
        self.session.commit()

    def _news(self, ids: list[str], since: datetime.datetime) -> None:
        started, moment = self.clock(), int(since.replace(tzinfo=datetime.UTC).timestamp() * 1000)
        seen: set[str] = set()
        for question, deleted in (
            (f"attributes.end_time > {moment}", False),
            (f"attributes.start_time > {moment}", False),
            ("attributes.status = 'RUNNING'", False),
            ("", True),
        ):
            found = self.client.runs(ids, question, deleted="only" if deleted else False)
            for batch in _groups((run for run in found if run.run_id not in seen), _BATCH):
                self._store(batch)
                seen.update(run.run_id for run in batch)
        self._by_id(ids, facts.doubtful_runs(self.session, self.server, ids, started))
        facts.experiments_read(self.session, self.server, ids, started, all_runs=False)
        self.session.commit()
        log.info("%s: %d experiments, %d runs read again", self.server, len(ids), len(seen))

    def _single_runs(self, targets: list[str], covered: set[str]) -> None:
        """The runs that are linked one by one, outside the experiments that were read."""
        known = facts.runs(self.session, [(self.server, target) for target in targets])
        outside: dict[str, str] = {}
        for target in targets:
            row = known.get((self.server, target))
            if row is None:
                with self._reported(f"run {target}"):
                    run = self.client.run(target)
                    if run:
                        copy_run(self.session, self.client, run, self.clock())
                        self.report.runs += 1
            elif row.experiment_id not in covered:
                outside[target] = row.experiment_id
        for group in _groups(outside, _TOGETHER):
            with self._reported("linked runs"):
                self._by_id(sorted({outside[target] for target in group}), group)
        self.session.commit()

    def _by_id(self, experiment_ids: list[str], run_ids: Sequence[str]) -> None:
        for group in _groups(run_ids, _TOGETHER):
            quoted = ", ".join(f"'{run_id}'" for run_id in group if "'" not in run_id)
            found = list(self.client.runs(experiment_ids, f"attributes.run_id IN ({quoted})", deleted=True))
            self._store(found)
            self.report.gone += facts.runs_gone(self.session, self.server, set(group) - {run.run_id for run in found})

    def _store(self, batch: Sequence[Run]) -> None:
        self.report.runs += facts.store_runs(self.session, self.server, batch, self.clock())
        self.report.deleted += sum(run.deleted for run in batch)
        self.session.commit()

    def _reported(self, what: str) -> _Reported:
        return _Reported(self, what)


class _Reported:
    """Puts an error about one thing into the report; lets it through when the server as a whole does not serve us."""

    def __init__(self, copier: _Copier, what: str) -> None:
        self.copier, self.what = copier, what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        if not isinstance(error, MlflowError) or self.copier.client.health().status != "ok":
            return False
        self.copier.session.rollback()
        self.copier.report.errors.append(f"{error} ({self.what[:200]})")
        return True


def _groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
