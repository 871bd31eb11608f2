"""Link datasets to MLflow in bulk: from a table, or from a search among a server's runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import requests

from ckanext.mlops.client.portal import ClientError, Portal
from ckanext.mlops.client.records import BadRecord
from ckanext.mlops.client.spreadsheets import read_rows

ALIASES = {"dataset": "id", "run": "target", "run_id": "target", "experiment": "target", "model": "target"}
#: Columns whose name says of what kind the target is.
IMPLIED = {"experiment": "experiment", "model": "registered_model"}
FIELDS = ("id", "server", "kind", "target", "relation", "version", "resource", "note")
PAGE = 1000


@dataclass(frozen=True)
class LinkRecord:
    """A link to make: the arguments of ``mlops_link_create``."""

    id: str
    server: str
    target: str
    kind: str = "run"
    relation: str = "used"
    version: str = ""
    resource: str = ""
    note: str = ""
    place: str = ""


@dataclass(frozen=True)
class LinkResult:
    """What happened: ``linked`` (now or before), ``planned`` or ``failed`` with ``error``."""

    place: str
    dataset: str
    target: str
    status: str
    id: str = ""
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def read_links(path: Path, defaults: Mapping[str, str]) -> Iterator[LinkRecord | BadRecord]:
    """The links of a table (CSV, JSON lines, Excel) with the columns :data:`FIELDS`; ``defaults`` where one has none.

    :raises BadRecord: the table as a whole cannot be read
    """
    for place, values in read_rows(path, {*FIELDS, *ALIASES}):
        if "" in values:
            yield BadRecord(place, str(values[""]))
            continue
        row = dict(defaults)
        for key, value in values.items():
            name = str(key).strip().lower().replace(" ", "_")
            if value is None:
                continue
            if name in IMPLIED and "kind" not in values:
                row["kind"] = IMPLIED[name]
            row[ALIASES.get(name, name)] = str(value)
        unknown = sorted(row.keys() - set(FIELDS))
        missing = [name for name in ("id", "server", "target") if not row.get(name)]
        if unknown:
            yield BadRecord(place, f"no column {unknown[0]!r}; there are {', '.join(FIELDS)}")
        elif missing:
            yield BadRecord(place, f"no value for {', '.join(missing)}")
        else:
            yield LinkRecord(**row, place=place)


def search_runs(
    tracking_uri: str,
    query: str,
    experiments: Iterable[str],
    *,
    auth: tuple[str, str] | None = None,
    timeout: float = 60.0,
) -> Iterator[str]:
    """Ids of the runs of an MLflow server that match MLflow's own search language.

    :param experiments: names of experiments
    :raises ClientError: the server does not answer, or refuses the query
    """
    base = tracking_uri.rstrip("/") + "/api/2.0/mlflow"
    with requests.Session() as session:
        session.auth = auth

        def call(method: str, path: str, **options: Any) -> Any:
            try:
                response = session.request(method, f"{base}/{path}", timeout=timeout, **options)
                answer = response.json()
            except (requests.RequestException, ValueError) as error:
                raise ClientError(f"{tracking_uri} does not answer as MLflow: {str(error)[:200]}") from None
            if not isinstance(answer, dict):
                raise ClientError(f"{tracking_uri} does not answer as MLflow.")
            if response.status_code != 200:
                raise ClientError(f"MLflow: {answer.get('message') or response.reason}")
            return answer

        ids = [
            call("GET", "experiments/get-by-name", params={"experiment_name": name})["experiment"]["experiment_id"]
            for name in experiments
        ]
        token = ""
        while True:
            body = {"experiment_ids": ids, "filter": query, "max_results": PAGE, "page_token": token}
            answer = call("POST", "runs/search", json=body)
            for run in answer.get("runs", ()):
                yield str(run["info"]["run_id"])
            token = answer.get("next_page_token") or ""
            if not token:
                return


def link(
    portal: Portal,
    records: Iterable[LinkRecord],
    *,
    jobs: int = 4,
    dry_run: bool = False,
    stop_at_error: bool = False,
) -> Iterator[LinkResult]:
    """Make the links; one that is there already stays as it is.

    :param stop_at_error: begin nothing more after the first failure
    """
    with ThreadPoolExecutor(jobs) as pool:
        left = iter(records)
        waiting = deque(pool.submit(_link, portal, each, dry_run) for each in islice(left, jobs * 2))
        failed = False
        while waiting:
            result = waiting.popleft().result()
            failed = failed or result.status == "failed"
            yield result
            if failed and stop_at_error:
                continue
            waiting.extend(pool.submit(_link, portal, each, dry_run) for each in islice(left, 1))


def _link(portal: Portal, record: LinkRecord, dry_run: bool) -> LinkResult:
    def result(status: str, **values: str) -> LinkResult:
        return LinkResult(record.place, record.id, record.target, status, **values)

    values = {name: getattr(record, name) for name in FIELDS if getattr(record, name)}
    try:
        if dry_run:
            portal.action("package_show", id=record.id)
            return result("planned")
        made = portal.action("mlops_link_create", **values)
        return result("linked", id=str(made.get("id", "")))
    except ClientError as error:
        return result("failed", error=str(error))
