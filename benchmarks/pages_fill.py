"""The datasets of ``benchmarks/pages.py``, written inside of a CKAN: ``pages_fill.py INI REPOSITORIES with|without``.

One repository of ten stages is made through CKAN's actions; the rows and index entries of the others are copies of its
own, in which ``a000000a`` is another number. Ends with the token of a sysadmin.
"""

from __future__ import annotations

import hashlib
import json
import random
import sys
from typing import Any

import sqlalchemy as sa
from ckan.cli import load_config
from ckan.config.middleware import make_app

STAGES = 10
_MARK = "a000000a"
_BATCH = 100
_URL = f"https://example.org/lab/{_MARK}.git"
_TABLES = ("package", "resource", "package_tag", "member")
_OURS = (
    "mlops_version",
    "mlops_edge",
    "mlops_content",
    "mlops_revision",
    "harvest_source",
    "harvest_job",
    "harvest_object",
)
_AUTHOR = {"commit": "c" * 40, "author": "Ada", "message": "x"}


def main(ini: str, repositories: int, *, own: bool) -> None:
    """Fill the CKAN of that configuration."""
    app = make_app(load_config(ini))
    with app._wsgi_app.test_request_context():
        token = _person()
        packages = [_package(stage, own=own) for stage in range(STAGES)]
        if own:
            _facts(packages)
        _copy(packages, repositories, own=own)
    print(f"TOKEN {token}")


def _person() -> str:
    from ckan import model
    from ckan.plugins import toolkit as tk

    given = {"name": "ada", "email": "ada@x.example", "password": "correct-horse"}
    user = tk.get_action("user_create")(_context(), given)
    model.Session.get(model.User, user["id"]).sysadmin = True
    model.Session.commit()
    return str(tk.get_action("api_token_create")(_context(), {"user": "ada", "name": "benchmark"})["token"])


def _context() -> Any:
    from ckan.plugins import toolkit as tk

    return {"user": tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"], "ignore_auth": True}


def _package(stage: int, *, own: bool) -> dict[str, Any]:
    from ckan.plugins import toolkit as tk

    name = f"{_MARK}-s{stage}"
    files: list[dict[str, Any]] = [
        {
            "id": _id(10 * stage + each),
            "url": f"https://data.example/{name}/{each}.csv",
            "name": f"{each}.csv",
            "format": "CSV",
            "hash": _hash(name, each),
            "size": 1000 + each,
        }
        for each in range(3)
    ]
    package: dict[str, Any] = {
        "id": _id(1000 + stage),
        "name": name,
        "title": f"Titanic {_MARK}: prepared {stage}",
        "owner_org": "lab",
        "notes": f"Passengers of the **Titanic** {_MARK}, prepared in step {stage}: *no* lifeboats, no bodies.",
        "license_id": "cc-by",
        "author": "Ada",
        "tags": [{"name": "titanic"}, {"name": f"tag-{stage}"}],
        "resources": files,
    }
    if own:
        package |= {
            "type": "dataset",
            "dvc_repository": _URL,
            "dvc_stage": f"step-{stage}",
            "dvc_commit": "c" * 40,
            "dvc_command": "python x.py",
        }
        for number, each in enumerate(files):
            each |= {"dvc_path": _path(stage, number), "dvc_kind": "data"}
    return dict(tk.get_action("package_create")(_context(), package))


def _random() -> float:
    return random.random()  # noqa: S311 a metric


def _id(number: int) -> str:
    return f"{_MARK}-0000-4000-8000-{number:012}"


def _hash(name: str, number: int) -> str:
    return hashlib.md5(f"{name}{number}".encode(), usedforsecurity=False).hexdigest()


def _facts(packages: list[dict[str, Any]]) -> None:
    """Versions with 20 metrics and 10 params, edges, columns of one table each, and what a harvest leaves."""
    from ckan import model

    from ckanext.mlops.model import versions
    from ckanext.mlops.model.tables import Edge
    from ckanext.mlops.model.transfers import Content

    session = model.Session()
    revisions = [
        {"kind": "branch" if number == 4 else "tag", "name": "main" if number == 4 else f"v{number}"}
        for number in range(5)
    ]
    for stage, package in enumerate(packages):
        rows = [
            {
                **_AUTHOR,
                "id": f"{_MARK}-v{stage}-{number}",
                "digest": f"d{number}",
                "committed": f"202{number}-01-01T00:00:00Z",
                "refs": [revision | {"commit": _AUTHOR["commit"]}],
                "facts": _stage(package["name"], stage),
                "current": revision["kind"] == "branch",
                "position": number,
            }
            for number, revision in enumerate(revisions)
        ]
        versions.store(session, package["id"], rows)
        columns = [_column(each) for each in range(stage, stage + 12)]
        sample = [[f"{row}.{each}" for each in range(len(columns))] for row in range(10)]
        profile = {"kind": "table", "rows": 891, "complete": True, "columns": columns, "sample": sample}
        hashed = _hash(package["name"], 1)
        session.add(Content(package_id=package["id"], path=_path(stage, 1), hash=hashed, profile=profile))
        for up in _inputs(stage):
            session.add(
                Edge(
                    id=f"{_MARK}-e{stage}-{up}",
                    downstream_dataset=package["id"],
                    upstream_dataset=_id(1000 + up),
                    path=_path(up, 1),
                    origin="harvested",
                    version_id=f"{_MARK}-v{stage}-4",
                )
            )
    _harvested(session, packages, revisions)
    session.commit()


def _column(number: int) -> dict[str, Any]:
    """What a look at a column of numbers, or of texts, leaves."""
    column = {"name": f"column_{number}", "missing": number, "distinct": 88}
    if number % 3:
        bins = [[each * 8.0, (each * 37 + number) % 101] for each in range(10)]
        return column | {"type": "number", "min": 0, "max": 80, "mean": 29.7, "histogram": bins}
    return column | {"type": "text", "top": [["male", 577], ["female", 314], ["unknown", number]]}


def _inputs(stage: int) -> list[int]:
    """The stages that one reads."""
    return sorted({max(stage - 1, 0), max(stage - 3, 0)} - {stage})


def _path(stage: int, file: int) -> str:
    return f"data/{stage}/{file}.csv"


def _stage(name: str, stage: int) -> dict[str, Any]:
    """The facts of a version, as a harvest stores them."""
    from ckanext.mlops.core.records import Dependency, Metric, Output, Param, Stage, to_dict

    def held(number: int, file: int) -> dict[str, Any]:
        content = _hash(name.replace(f"-s{stage}", f"-s{number}"), file)
        return {"path": _path(number, file), "hash": content, "algorithm": "md5", "size": 1000 + file}

    metrics = {f"accuracy_{each}": _random() for each in range(20)}
    return to_dict(
        Stage(
            f"step-{stage}",
            "dvc.yaml",
            f"step-{stage}",
            command="python x.py",
            deps=tuple(Dependency(**held(up, 1)) for up in _inputs(stage)),
            outs=tuple(Output(**held(stage, each)) for each in range(3)),
            params=tuple(Param("params.yaml", f"train.p{each}", each) for each in range(10)),
            metrics=(Metric(f"metrics/{stage}.json", "in-git", metrics),),
        )
    )


def _harvested(session: Any, packages: list[dict[str, Any]], shown: list[dict[str, str]]) -> None:
    """A source with a finished job: its revisions, and the objects that the datasets come from."""
    from ckanext.harvest.model import HarvestJob, HarvestObject, HarvestSource

    from ckanext.mlops.core import naming
    from ckanext.mlops.model import revisions

    source = HarvestSource(id=_id(2000), url=_URL, title=f"Titanic {_MARK}", type="dvc", config="{}")
    job = HarvestJob(id=_id(2001), source=source, status="Finished")
    for stage, package in enumerate(packages):
        session.add(
            HarvestObject(
                id=_id(2100 + stage),
                guid=f"{naming.repository_key(_URL)}#step-{stage}",
                current=True,
                state="COMPLETE",
                report_status="added",
                job=job,
                source=source,
                package_id=package["id"],
                content=json.dumps(package),
            )
        )
    files = tuple(_path(stage, 1) for stage in range(len(packages)))
    rows = [
        {
            **_AUTHOR,
            **revision,
            "committed": f"202{number}-01-01T00:00:00Z",
            "note": "",
            "position": number,
            "metrics": {},
            "params": {"params.yaml": {f"train.p{each}": each for each in range(10)}},
            "plots": [{"name": file, "files": [file], "options": {"x": "column_1", "y": "column_2"}} for file in files],
        }
        for number, revision in enumerate(shown)
    ]
    revisions.store(session, str(source.id), naming.repository_slug(_URL), rows)


def _copy(packages: list[dict[str, Any]], repositories: int, *, own: bool) -> None:
    from ckan import model
    from ckan.lib.search import common

    solr = common.make_connection()
    entries = [
        json.dumps(each, default=lambda value: value.isoformat() + "Z")
        for package in packages
        for each in _documents(package["id"])
    ]
    connection = model.Session.connection()
    rows = {}
    for table in (*_TABLES, *(_OURS if own else ())):
        text = sa.func.to_jsonb(sa.text("t")).cast(sa.Text)
        found = connection.scalars(sa.select(text).select_from(sa.text(f"{table} t")).where(text.contains(_MARK)))
        rows[table] = f"[{','.join(found)}]"
    solr.add([_entry(text, 0, own=own) for text in entries], commit=False)
    for first in range(1, repositories, _BATCH):
        batch = range(first, min(first + _BATCH, repositories))
        for table, text in rows.items():
            copies = [copy for number in batch for copy in json.loads(text.replace(_MARK, f"a{number:06}a"))]
            if table in ("package_tag", "member"):
                # Their ids are CKAN's.
                for number, copy in enumerate(copies):
                    copy["id"] = f"{copy['id']}-{first}-{number}"
            if table == "mlops_revision":
                for copy in copies:
                    copy["repository"] = _slug(copy["source_id"].split("-")[0])
            connection.execute(
                sa.text(
                    f"INSERT INTO {table} SELECT * FROM "  # noqa: S608 a name of ours
                    f"jsonb_populate_recordset(NULL::{table}, CAST(:rows AS jsonb))"
                ),
                {"rows": json.dumps(copies)},
            )
        solr.add([_entry(text, number, own=own) for number in batch for text in entries], commit=False)
    solr.commit()
    model.Session.commit()
    engine: Any = model.meta.engine
    with engine.connect() as plain:
        plain.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))


def _documents(package_id: str) -> list[dict[str, Any]]:
    """What CKAN sends to Solr: its connection is stood in for."""
    from ckan import logic
    from ckan.lib.search import index, index_for

    found: list[dict[str, Any]] = []

    class Collector:
        def add(self, docs: list[dict[str, Any]], commit: bool = False) -> None:
            found.extend(docs)

    default, custom = logic.package_show_default_and_custom_schemas({"ignore_auth": True}, package_id)
    connect, index.make_connection = index.make_connection, Collector
    try:
        index_for("Package").insert_dict(dict(default, with_custom_schema=custom))
    finally:
        index.make_connection = connect
    return found


def _entry(text: str, number: int, *, own: bool) -> dict[str, Any]:
    from ckan.plugins import toolkit as tk

    from ckanext.mlops.search import numbers

    copy: dict[str, Any] = json.loads(text.replace(_MARK, f"a{number:06}a"))
    key = copy["id"] + tk.config["ckan.site_id"]
    copy["index_id"] = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    for name in copy:
        if name.startswith(numbers.PREFIX):
            copy[name] = numbers.sortable(_random())
    if own:
        copy["mlops_repository"] = _slug(f"a{number:06}a")
    return copy


def _slug(repository: str) -> str:
    from ckanext.mlops.core import naming

    return naming.repository_slug(_URL.replace(_MARK, repository))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), own=sys.argv[3] == "with")
