"""Real CKAN for the tests: its database, search index, users of every role, and the action API over HTTP.

CKAN is started once per session and stays loaded; each test gets an empty catalog through ``clean`` (database, search
index and Redis), which most fixtures below imply.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import ckan.plugins
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.cli.db import _migrate_plugins
from ckan.common import config as ckan_settings
from ckan.config.middleware.flask_app import csrf
from ckan.lib import redis, search
from ckan.model.types import make_uuid
from ckan.plugins import toolkit as tk
from ckan.tests import helpers
from ckanext.harvest.model import HarvestObject
from sqlalchemy.orm import close_all_sessions
from werkzeug.serving import make_server

from ckanext.mlops.client import Portal
from ckanext.mlops.core import naming

HERE = Path(__file__).parent
PASSWORD = "correct-horse-battery"
_storage: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """Tests find their settings whatever the folder that they are started from."""
    if not config.option.ckan_ini:
        config.option.ckan_ini = str(HERE / "test.ini")
    if "CKAN_STORAGE_PATH" not in os.environ:
        _storage.append(tempfile.mkdtemp(prefix="mlops-test-"))
        os.environ["CKAN_STORAGE_PATH"] = _storage[0]


def pytest_unconfigure(config: pytest.Config) -> None:
    for folder in _storage:
        shutil.rmtree(folder, ignore_errors=True)


def _load_plugins() -> None:
    names = tk.aslist(ckan_settings["ckan.plugins"])
    if any(not ckan.plugins.plugin_loaded(name) for name in names):
        ckan.plugins.load_all()


@pytest.fixture(scope="session", autouse=True)
def database() -> None:
    """Tables of CKAN and of the plugins, by their migrations."""
    _load_plugins()
    model.repo.init_db()
    _migrate_plugins(apply=True)


@pytest.fixture(autouse=True)
def loaded(database: None) -> None:
    """The plugins of the settings, also after a test that loaded others."""
    _load_plugins()


@pytest.fixture(scope="session")
def _wsgi(database: None) -> Any:
    return helpers._get_test_app().app


@pytest.fixture(scope="session")
def _exempt_at_start(_wsgi: Any) -> frozenset[str]:
    """The views that are exempt from CSRF before anybody called one."""
    return frozenset(csrf._exempt_views)


@pytest.fixture
def app(_wsgi: Any, _exempt_at_start: frozenset[str], loaded: None) -> helpers.CKANTestApp:
    """A browser without cookies. Tests that change plugins use CKAN's ``make_app``."""
    ckan_settings["testing"] = True
    # CKAN exempts a view from CSRF for the whole process once anybody called it with a token.
    csrf._exempt_views &= _exempt_at_start
    return helpers.CKANTestApp(_wsgi)


@pytest.fixture
def sign_in(app: helpers.CKANTestApp) -> Callable[[Person], helpers.CKANTestApp]:
    """The browser, signed in with the form as a person does; CSRF tokens are asked for as in production."""

    def enter(person: Person) -> helpers.CKANTestApp:
        form = app.get("/user/login", status=200).body
        token = re.search(r'name="_csrf_token"[^>]*value="([^"]+)"', form)
        assert token is not None
        app.post(
            "/user/login",
            data={"login": person.name, "password": PASSWORD, "_csrf_token": token[1]},
            follow_redirects=False,
            status=302,
        )
        return app

    return enter


class Rows:
    """The rows of the database at some moment, to go back to: much faster than to make them anew for each test."""

    def __init__(self, name: str) -> None:
        self._schema = f"kept_{name}"
        tables = [table.name for table in model.meta.metadata.sorted_tables]
        with self._cursor() as cursor:
            cursor.execute(f"DROP SCHEMA IF EXISTS {self._schema} CASCADE; CREATE SCHEMA {self._schema}")
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            there = {name for (name,) in cursor.fetchall()}
            self._tables = [name for name in tables if name in there and name != "alembic_version"]
            self._filled = []
            for each in self._tables:
                cursor.execute(f'CREATE TABLE {self._schema}."{each}" AS TABLE public."{each}"')
                cursor.execute(f'SELECT EXISTS (SELECT FROM public."{each}")')  # noqa: S608 our own names
                if cursor.fetchone()[0]:
                    self._filled.append(each)

    def restore(self) -> None:
        """Delete what there is, and put the rows back."""
        close_all_sessions()
        kept = self._schema
        statements = [f'DELETE FROM public."{name}"' for name in reversed(self._tables)]  # noqa: S608 our own names
        statements += [f'INSERT INTO public."{name}" SELECT * FROM {kept}."{name}"' for name in self._filled]  # noqa: S608
        with self._cursor() as cursor:
            cursor.execute(";\n".join(statements))

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        engine: Any = model.meta.engine
        with engine.begin() as connection, connection.connection.cursor() as cursor:
            yield cursor


@pytest.fixture(scope="session")
def _empty(database: None) -> Rows:
    helpers.reset_db()
    return Rows("empty")


@pytest.fixture
def clean(_empty: Rows) -> Iterator[None]:
    """An empty catalog."""
    _empty.restore()
    search.clear_all()
    redis.connect_to_redis().flushdb()
    yield
    model.Session.remove()


@dataclass(frozen=True)
class Person:
    """Somebody who may use the portal; anonymous has no id and no token."""

    name: str = ""
    id: str = ""
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": self.token} if self.token else {}


@dataclass(frozen=True)
class People:
    """One person per role. ``outsider`` edits ``other``, the others have their role in ``organization``."""

    organization: dict[str, Any]
    other: dict[str, Any]
    anonymous: Person
    outsider: Person
    member: Person
    editor: Person
    admin: Person
    sysadmin: Person

    ROLES = ("anonymous", "outsider", "member", "editor", "admin", "sysadmin")

    def all(self) -> dict[str, Person]:
        return {role: getattr(self, role) for role in self.ROLES}


def _user(name: str, **values: Any) -> dict[str, Any]:
    return helpers.call_action(
        "user_create", name=name, email=f"{name}@portal.test", password=PASSWORD, fullname=name.title(), **values
    )


def _person(user: dict[str, Any]) -> Person:
    token = helpers.call_action("api_token_create", {"user": user["name"]}, user=user["name"], name="tests")["token"]
    return Person(user["name"], user["id"], token)


@pytest.fixture(scope="session")
def _roles(_empty: Rows) -> tuple[People, Rows]:
    """Users of every role, and their rows."""
    _empty.restore()
    search.clear_all()
    users = {name: _user(name) for name in ("outsider", "member", "editor", "admin")}
    root = _user("root")
    model.Session.get(model.User, root["id"]).sysadmin = True
    model.Session.commit()
    roles = {"member": "member", "editor": "editor", "admin": "admin"}
    organization = helpers.call_action(
        "organization_create",
        {"user": "root"},
        name="lab",
        title="The Lab",
        users=[{"name": name, "capacity": capacity} for name, capacity in roles.items()],
    )
    other = helpers.call_action(
        "organization_create",
        {"user": "root"},
        name="elsewhere",
        title="Elsewhere",
        users=[{"name": "outsider", "capacity": "editor"}],
    )
    persons = {name: _person(user) for name, user in users.items()}
    made = People(organization, other, anonymous=Person(), sysadmin=_person(root), **persons)
    model.Session.remove()
    return made, Rows("people")


@pytest.fixture
def people(_roles: tuple[People, Rows], clean: None) -> People:
    """Users of every role in an otherwise empty catalog."""
    made, rows = _roles
    rows.restore()
    return deepcopy(made)


class Refused(Exception):
    """The action API answered with an error: ``status`` of HTTP, ``kind`` and ``error`` as CKAN says it."""

    def __init__(self, status: int, error: dict[str, Any]) -> None:
        super().__init__(f"{status} {error}")
        self.status = status
        self.error = error
        self.kind = error.get("__type", "")


class Api(Protocol):
    def __call__(self, action: str, person: Person | None = None, /, **data: Any) -> Any: ...


@pytest.fixture
def api(app: helpers.CKANTestApp) -> Api:
    """Call an action over HTTP as somebody: ``api("package_show", people.member, id="x")``; anonymous without a person.

    A program has no cookies: who is signed in with the browser ``app`` does not matter. Raises :class:`Refused` when
    the portal refuses.
    """
    program = helpers.CKANTestApp(app.app)

    def call(action: str, person: Person | None = None, /, **data: Any) -> Any:
        response = program.post(
            f"/api/3/action/{action}", json=data, headers=(person or Person()).headers, follow_redirects=False
        )
        answer = response.json
        if not isinstance(answer, dict):
            raise Refused(response.status_code, {"__type": "Bad request", "message": answer})
        if not answer["success"]:
            raise Refused(response.status_code, answer["error"])
        return answer["result"]

    return call


@pytest.fixture
def refused() -> type[Refused]:
    return Refused


@pytest.fixture
def make_dataset(people: People) -> Callable[..., dict[str, Any]]:
    """Create a dataset of ``people.organization`` as its editor."""

    def make(**values: Any) -> dict[str, Any]:
        values.setdefault("owner_org", people.organization["id"])
        values.setdefault("type", "dataset")
        return helpers.call_action("package_create", {"user": "editor", "ignore_auth": False}, **values)

    return make


@pytest.fixture
def of_source() -> Callable[[dict[str, Any], str], None]:
    """Say that a dataset is of a harvest source, as a harvest does."""

    def note(package: dict[str, Any], source_id: str) -> None:
        guid = naming.dataset_guid(package["dvc_repository"], package.get("dvc_stage") or "train")
        values = {"guid": guid, "package_id": package["id"], "harvest_source_id": source_id, "current": True}
        model.Session.execute(sa.insert(HarvestObject).values(id=make_uuid(), **values))
        model.Session.commit()

    return note


@pytest.fixture
def version_id() -> Callable[[dict[str, Any], str], str]:
    """Id of a version that the portal itself read for a dataset, as for one that a person registered."""

    def make(package: dict[str, Any], digest: str) -> str:
        return naming.version_id(naming.registered_guid(package["id"], package["dvc_repository"]), digest)

    return make


@pytest.fixture
def page(app: helpers.CKANTestApp) -> Callable[..., Any]:
    """Open a page as somebody; the response has ``status_code`` and ``body``."""

    def open_page(url: str, person: Person | None = None, **options: Any) -> Any:
        return app.get(url, headers=(person or Person()).headers, **options)

    return open_page


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What the database is asked for."""
    asked: list[str] = []
    listen = lambda *arguments: asked.append(arguments[2])  # noqa: E731
    sa.event.listen(model.meta.engine, "before_cursor_execute", listen)
    yield asked
    sa.event.remove(model.meta.engine, "before_cursor_execute", listen)


@pytest.fixture(scope="session")
def _served(_wsgi: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, _wsgi, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)


@pytest.fixture
def live(_served: str, people: People) -> str:
    """Address of the portal behind a real HTTP server, for programs that speak with it; it has ``people``."""
    return _served


@pytest.fixture
def killed() -> Callable[..., None]:
    """Run a program, and kill it as soon as something is so."""

    def kill(command: Sequence[str], when: Callable[[], bool], environment: Mapping[str, str] | None = None) -> None:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120
        while not when():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)

    return kill


@pytest.fixture
def portal(live: str, people: People) -> Portal:
    """The portal behind a real HTTP server, as the editor."""
    return Portal(live, people.editor.token, retries=1, sleep=lambda seconds: None)
