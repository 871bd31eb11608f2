"""What the demo says when the portal is away, refuses, or leaves a harvest job alone.

A small HTTP server stands in for CKAN here, because a real one cannot be brought into these states at will; the whole
demo on a real portal is tested with the portal itself.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from embedded.demo.portal_steps import Portal
from embedded.demo.workspace import DemoError


class FakeCkan(ThreadingHTTPServer):
    """Answers actions from ``answers``: action → list of (status, body), the last one for ever."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[tuple[int, dict]]] = {}
        self.asked: list[tuple[str, dict]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def result(self, action, *results):
        self.answers[action] = [(200, {"success": True, "result": result}) for result in results]

    def error(self, action, status, error):
        self.answers[action] = [(status, {"success": False, "error": error})]


class Handler(BaseHTTPRequestHandler):
    server: FakeCkan

    def do_POST(self):
        action = self.path.rsplit("/", 1)[-1]
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((action, data))
        queue = self.server.answers[action]
        status, body = queue.pop(0) if len(queue) > 1 else queue[0]
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def ckan() -> Iterator[FakeCkan]:
    server = FakeCkan()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def job(status, *, gathered=False, **stats):
    return {"id": "j", "status": status, "gather_finished": "now" if gathered else None, "stats": stats}


def test_absent_portal_is_named():
    with pytest.raises(DemoError, match=r"http://127\.0\.0\.1:1 does not answer .*Is the portal running"):
        Portal("http://127.0.0.1:1", "token").organization()


def test_refusal_names_the_field(ckan):
    ckan.error("organization_show", 404, {"__type": "Not Found Error", "message": "no"})
    ckan.error("organization_create", 409, {"__type": "Validation Error", "name": ["taken"]})
    with pytest.raises(DemoError, match=r"refused organization_create: name: \['taken'\]"):
        Portal(ckan.url, "token").organization()


def test_organization_and_source_that_exist_are_kept(ckan):
    ckan.result("organization_show", {"id": "o"})
    ckan.result("harvest_source_show", {"id": "s", "url": "file:///x.git", "state": "active"})
    portal = Portal(ckan.url, "token")
    assert portal.organization() == "o"
    assert portal.source("file:///x.git", "o") == "s"
    assert [action for action, _ in ckan.asked] == ["organization_show", "harvest_source_show"]


def test_source_of_a_moved_or_deleted_demo_is_renewed(ckan):
    ckan.result("harvest_source_show", {"id": "s", "url": "file:///x.git", "state": "deleted"})
    ckan.result("harvest_source_update", {"id": "s"})
    assert Portal(ckan.url, "token").source("file:///x.git", "o") == "s"
    assert ckan.asked[-1][1]["state"] == "active"


def test_job_that_nobody_takes_is_given_up_with_the_remedy(ckan):
    ckan.result("harvest_job_list", [])
    ckan.result("harvest_job_create", job("New"))
    ckan.result("harvest_job_show", job("New"))
    seen = []
    with pytest.raises(DemoError, match=r"no progress .*waiting for a consumer.*portal\.py status"):
        Portal(ckan.url, "token", patience=0.6).harvest("s", seen.append)
    assert set(seen) == {"waiting for a consumer"}


def test_running_job_is_joined_and_its_progress_told(ckan):
    ckan.result("harvest_job_list", [job("Running")])
    done = {**job("Finished", gathered=True, added=6, errored=1), "object_error_summary": [{"message": "bad"}]}
    half = job("Running", gathered=True, added=3, null=4)
    ckan.result("harvest_job_show", job("Running"), half, job("Running", gathered=True, added=6, errored=1), done)
    ckan.result("harvest_jobs_run", [])
    seen = []
    result = Portal(ckan.url, "token").harvest("s", seen.append)
    assert seen == ["reading the repository", "3 of 7 datasets", "7 of 7 datasets", "7 of 7 datasets"]
    assert result.stats == {"added": 6, "errored": 1}
    assert result.errors == ("bad",)
    asked = [action for action, _ in ckan.asked]
    assert "harvest_job_create" not in asked
    # Only when all objects were done: earlier it would queue them a second time.
    assert (
        asked.index("harvest_jobs_run") > [i for i, action in enumerate(asked) if action == "harvest_job_show"][2] - 1
    )


def test_version_is_found_by_the_revision_that_shows_it(ckan):
    versions = [{"id": "v2", "refs": [{"name": "main"}]}, {"id": "v1", "refs": [{"name": "baseline"}]}]
    ckan.result("mlops_version_list", {"count": 2, "results": versions})
    portal = Portal(ckan.url, "token")
    assert portal.version("d", "baseline") == "v1"
    assert portal.version("d", "nowhere") is None


def test_a_healthy_mlflow_server_is_preferred(ckan):
    ckan.result("mlops_server_list", [{"name": "old", "healthy": False}, {"name": "new", "healthy": True}])
    assert Portal(ckan.url, "token").mlflow_server() == "new"
    ckan.result("mlops_server_list", [])
    with pytest.raises(DemoError, match=r"ckanext\.mlops\.mlflow\.servers"):
        Portal(ckan.url, "token").mlflow_server()


def test_models_are_copied_where_that_is_allowed(ckan):
    ckan.result("mlops_server_list", [{"name": "lab", "healthy": True}])
    ckan.result("mlops_mlflow_sync", {"ok": True, "servers": [{"errors": []}]}, {"servers": [{"errors": ["away"]}]})
    portal = Portal(ckan.url, "token")
    assert portal.copy_models()
    with pytest.raises(DemoError, match="could not read MLflow: away"):
        portal.copy_models()
    ckan.error("mlops_mlflow_sync", 403, {"__type": "Authorization Error", "message": "no"})
    assert not portal.copy_models()
