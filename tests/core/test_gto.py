"""GTO tags: the grammar and the state equal those of gto itself, which comes with dvc."""

import json
import os
import subprocess
import sys
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ckanext.mlops.core.gto import GtoTag, parse_tag, registry
from ckanext.mlops.core.records import Revision

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model@v1.0.0", GtoTag("model", "register", version="v1.0.0")),
        ("get-started-data@v1.0.1#4", GtoTag("get-started-data", "register", version="v1.0.1", counter=4)),
        ("model@v1.0.0-rc.1+b.7", GtoTag("model", "register", version="v1.0.0-rc.1+b.7")),
        ("model@v1.0.0!#2", GtoTag("model", "deregister", version="v1.0.0", counter=2)),
        ("model#prod#3", GtoTag("model", "assign", stage="prod", counter=3)),
        ("get-started-data#prod!#6", GtoTag("get-started-data", "unassign", stage="prod", counter=6)),
        ("models/deep=net#dev", GtoTag("models/deep:net", "assign", stage="dev")),
        ("model@deprecated", GtoTag("model", "deprecate")),
        ("model@created#2", GtoTag("model", "create", counter=2)),
    ],
)
def test_each_form_is_read(name, expected):
    assert parse_tag(name) == expected


@pytest.mark.parametrize(
    "name", ["v1.0.0", "baseline", "model@1.0.0", "model@v1", "@v1.0.0", "#prod", "-m@v1.0.0", "m@v01.0.0", "a b#c", ""]
)
def test_other_tags_are_not_gtos(name):
    assert parse_tag(name) is None


PIECES = [
    "model",
    "a/b",
    "=",
    "@",
    "#",
    "!",
    "v1.0.0",
    "v1.2.3-rc.1",
    "+b",
    "prod",
    "7",
    "12",
    "-",
    "_",
    ".",
    "deprecated",
    "created",
    "X",
    "\n",
]


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
@example("a=b=c@v1.0.0")
def test_the_grammar_is_that_of_gto(name):
    constants = pytest.importorskip("gto.constants")
    theirs = None if "\n" in name else constants.tag_re.fullmatch(name)
    ours = parse_tag(name)
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        assert ours.artifact == theirs["artifact"].replace("=", ":", 1)
        assert ours.version == (theirs["version"] or "")
        assert ours.stage == (theirs["stage"] or "")
        assert ours.counter == (int(theirs["counter"]) if theirs["counter"] else None)


def test_hostile_names_take_no_time():
    start = time.monotonic()
    for part in ("a/", "a-", "a_", "a=", "a@", "a#", "1.", "a.a-", "v1.0.0-a."):
        for count in (100, 100_000):
            parse_tag(part * count)
            parse_tag("m@v1.0.0-" + part * count)
    assert time.monotonic() - start < 20


class Project:
    """A repository whose tags are made one second apart."""

    def __init__(self, path):
        self.path, self.clock, self.tags = path, 1_700_000_000, []
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments):
        self.clock += 1
        when = {"GIT_AUTHOR_DATE": f"{self.clock} +0000", "GIT_COMMITTER_DATE": f"{self.clock} +0000"}
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=ENVIRONMENT | when, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def commit(self):
        self.git("commit", "--quiet", "--allow-empty", "-m", "c")

    def tag(self, name, target="HEAD"):
        self.git("tag", "-a", "-m", name, name, target)
        date = self.git("for-each-ref", "--format=%(taggerdate:format:%Y-%m-%dT%H:%M:%SZ)", f"refs/tags/{name}")
        self.tags.append(Revision(name, "tag", self.git("rev-parse", f"{name}^{{}}"), date=date))

    def shown(self):
        """``gto show --json``: artifact → (latest version, stages)."""
        script = "import sys; from gto.cli import app; sys.argv[0] = 'gto'; app()"
        done = subprocess.run(
            [sys.executable, "-c", script, "show", "--json"],
            cwd=self.path,
            env=ENVIRONMENT,
            capture_output=True,
            check=True,
        )
        found = json.loads(done.stdout)
        return {
            name: (item["version"], {stage: version for stage, version in item["stage"].items() if version})
            for name, item in found.items()
        }

    def ours(self):
        return {
            item.name: (
                item.versions[0].version if item.versions else None,
                {stage.stage: stage.version for stage in item.stages},
            )
            for item in registry(self.tags)
        }


def test_the_state_is_that_of_gto(tmp_path):
    pytest.importorskip("gto")
    project = Project(tmp_path / "project")
    project.commit()
    project.tag("model@v1.0.0#1")
    project.tag("model#dev#2")
    project.tag("model#prod#3")
    project.tag("data@v0.1.0")
    project.commit()
    project.tag("model@v1.10.0#4")
    project.tag("model#dev#5")
    project.tag("model#prod#6")
    project.commit()
    project.tag("model@v1.9.0-rc.1#7")
    assert project.ours() == project.shown()
    # Taking back the newer assignment gives the stage to the older version again.
    project.tag("model#prod!#8", "HEAD~1")
    assert project.ours() == project.shown()
    assert project.ours()["model"][1]["prod"] == "v1.0.0"
    project.tag("model#dev#9", "HEAD~2")
    project.tag("data@v0.1.0!#2", "HEAD~2")
    project.tag("data@v0.2.0#3", "HEAD~1")
    assert project.ours() == project.shown()


def test_an_assignment_without_a_version_and_a_deprecation_are_kept():
    commit = "1" * 40
    (found,) = registry([Revision("model#prod", "tag", commit), Revision("model@deprecated#2", "tag", commit)])
    assert (found.stages[0].version, found.stages[0].commit, found.deprecated) == ("", commit, True)
    (found,) = registry([Revision("model@deprecated#2", "tag", commit), Revision("model@created#3", "tag", commit)])
    assert not found.deprecated


def test_counters_order_tags_that_point_back_in_history():
    old, new = Revision("m@v1.0.0", "tag", "1" * 40, date="2020"), Revision("m@v2.0.0", "tag", "2" * 40, date="2021")
    rollback = [Revision("m#prod#1", "tag", "2" * 40, date="2021"), Revision("m#prod#2", "tag", "1" * 40, date="2020")]
    (found,) = registry([old, new, *rollback])
    assert [stage.version for stage in found.stages] == ["v1.0.0"]
    assert [item.version for item in found.versions] == ["v2.0.0", "v1.0.0"]
