"""What ``mlflow_sync.py`` asks of a process with CKAN loaded."""

from __future__ import annotations

import resource
import time
from typing import Any

import requests
from inside import Inside


class Syncs(Inside):
    """What the process with CKAN loaded can do."""

    def __init__(self, ini: str) -> None:
        super().__init__(ini)
        self.waited, self.requests, send = 0.0, 0, requests.Session.send

        def timed(session: requests.Session, *arguments: Any, **options: Any) -> requests.Response:
            begin = time.perf_counter()
            try:
                return send(session, *arguments, **options)
            finally:
                self.waited += time.perf_counter() - begin
                self.requests += 1

        requests.Session.send = timed  # type: ignore[method-assign]

    def do_prepare(self) -> None:
        """Two datasets of an organization: one will be linked."""
        from ckan.plugins import toolkit as tk

        organization = tk.get_action("organization_create")(self.context(), {"name": "lab", "title": "Lab"})
        for name in ("empty", "linked"):
            data = {"name": name, "title": name, "type": "dataset", "owner_org": organization["id"]}
            tk.get_action("package_create")(self.context(), data)

    def do_forget(self) -> None:
        """Nothing is known of any server."""
        import sqlalchemy as sa
        from ckan import model

        from ckanext.mlops.model import Experiment, LoggedModel, ModelVersion, RegisteredModel, Run, ServerState

        for table in (Experiment, LoggedModel, ModelVersion, RegisteredModel, Run, ServerState):
            model.Session.execute(sa.text(f"TRUNCATE {table.__tablename__}"))
        model.Session.commit()
        with model.meta.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))

    def do_sync(self, server: str) -> dict[str, Any]:
        """Seconds, the largest MiB of the process until then, and the report."""
        from ckan import model
        from ckan.plugins import toolkit as tk

        context, self.waited, self.requests = self.context(), 0.0, 0
        begin = time.perf_counter()
        [report] = tk.get_action("mlops_mlflow_sync")(context, {"server": server})["servers"]
        seconds = time.perf_counter() - begin
        model.Session.remove()
        found = {"seconds": seconds, "memory": _peak(), "report": report}
        return found | {"waited": self.waited, "requests": self.requests}

    def do_link(self, server: str) -> int:
        """Link a dataset with the newest thousand runs, one by one, as a person's script does; how many."""
        import sqlalchemy as sa
        from ckan import model

        from ckanext.mlops.model import Run, links
        from ckanext.mlops.model.tables import utc_now

        package = model.Package.get("linked")
        query = sa.select(Run.run_id).where(Run.server == server).order_by(Run.started.desc()).limit(1000)
        runs = list(model.Session.scalars(query))
        for run in runs:
            links.assert_link(
                model.Session(), package_id=package.id, server=server, kind="run", target=run, relation="trained_on",
                user_id=None, version_id=None, note="", now=utc_now(),
            )  # fmt: skip
        model.Session.commit()
        return len(runs)

    def do_page(self, name: str) -> float:
        """Seconds of the Experiments tab, as an anonymous reader."""
        begin = time.perf_counter()
        answer = self.app._wsgi_app.test_client().get(f"/dataset/{name}/experiments")
        seconds = time.perf_counter() - begin
        if answer.status_code != 200:
            raise RuntimeError(f"the page of {name} answers {answer.status_code}")
        return seconds


def _peak() -> float:
    """The largest MiB that this process ever had in memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
