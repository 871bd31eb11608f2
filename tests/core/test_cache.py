"""The cache makes a second reading fast and is never needed or trusted."""

from __future__ import annotations

import os
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from ckanext.mlops.core import Limits, read_repository
from ckanext.mlops.core import cache as warm
from ckanext.mlops.core.errors import LimitExceeded
from ckanext.mlops.core.records import Snapshot

STAGES = "".join(
    f"  s{n}:\n    cmd: run {n}\n    outs:\n    - o{n}\n    metrics:\n    - m{n}.json: {{cache: false}}\n"
    for n in range(8)
)
FILES: dict[str, str | bytes | None] = {
    "dvc.yaml": "stages:\n" + STAGES,
    "data.dvc": "outs:\n- path: d\n  md5: " + "a" * 32 + "\n",
    "sub/dvc.yaml": "stages:\n  p:\n    cmd: plot\n    params: [a]\n    plots: [p.csv: {cache: false, x: step}]\n",
    "sub/p.csv": "step,loss\n1,2\n",
    "params.yaml": "a: 1\n",
    **{f"m{n}.json": f'{{"acc": {n}}}' for n in range(8)},
}


def read(repo: Any, cache: Path | None, **options: Any) -> list[Snapshot]:
    return list(read_repository(repo.folder, url=repo.url, cache=cache, **options))


def test_a_warm_reading_equals_a_cold_one(repo: Any, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    repo.commit(FILES, tag="one")
    assert read(repo, cache) == read(repo, None)
    assert cache.exists()
    repo.commit({"m3.json": '{"acc": 30}', "data.dvc": "outs:\n- path: d\n  md5: " + "b" * 32 + "\n"})
    assert read(repo, cache) == read(repo, None)
    repo.commit({"dvc.yaml": "stages:\n" + STAGES.replace("run 2", "run two")})
    assert read(repo, cache) == read(repo, None)
    again = read_repository(repo.folder, url=repo.url, cache=cache)
    assert list(again) == list(again) == read(repo, None)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the stages that were made of what files say, each as often as it was."""
    from ckanext.mlops.core.stages import StageBuilder

    found: list[str] = []
    build = StageBuilder.build

    def counted(self: StageBuilder, shape: Any, *rest: Any) -> Any:
        found.append(shape.name)
        return build(self, shape, *rest)

    monkeypatch.setattr(StageBuilder, "build", counted)  # counts, and does what it always does
    return found


def test_only_new_stages_are_made_after_a_commit(repo: Any, tmp_path: Path, built: list[str]) -> None:
    cache = tmp_path / "cache"
    repo.commit(FILES)
    read(repo, cache)
    known = {revision.tree for revision in repo.read().revisions}
    repo.commit({"m3.json": '{"acc": 30}'})
    built.clear()
    (snapshot,) = read_repository(repo.folder, url=repo.url, cache=cache).without(known)
    assert built == ["s3"]
    assert len(snapshot.stages) == 10


def test_a_cache_that_was_loaded_ahead_is_as_good(repo: Any, tmp_path: Path, built: list[str]) -> None:
    cache = tmp_path / "cache"
    repo.commit(FILES)
    read(repo, cache)
    kept = warm.Cache(cache)
    kept.load_ahead()
    cache.unlink()
    repo.commit({"m3.json": '{"acc": 30}'})
    built.clear()
    found = list(read_repository(repo.folder, url=repo.url, cache=kept))
    assert built == ["s3"]
    assert found == read(repo, None)


def test_the_first_reading_of_one_state_makes_each_stage_once(repo: Any, tmp_path: Path, built: list[str]) -> None:
    repo.commit(FILES)
    (snapshot,) = read(repo, tmp_path / "cache")
    assert len(built) == len(snapshot.stages) == 10
    built.clear()
    assert read(repo, tmp_path / "cache") == [snapshot]
    assert built == []


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other version", "foreign pickle", "folder"])
def test_a_bad_cache_is_a_cold_start(repo: Any, tmp_path: Path, damage: str) -> None:
    cache, marker = tmp_path / "cache", tmp_path / "ran"
    repo.commit(FILES)
    read(repo, cache)
    data = cache.read_bytes()
    body = b"cposix\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    cache.write_bytes(
        {
            "empty": b"",
            "cut": data[: len(data) // 2],
            "flipped": data[:-20] + b"x" + data[-19:],
            "other version": b"0" * 32 + data[32:],
            "foreign pickle": warm.reader_version() + zlib.crc32(body).to_bytes(4) + body,
            "folder": b"",
        }[damage]
    )
    if damage == "folder":
        cache.unlink()
        cache.mkdir()
    assert read(repo, cache) == read(repo, None)
    assert not marker.exists()


def test_a_cache_of_other_limits_or_another_repository_is_not_used(repo: Any, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    repo.commit({**FILES, "dvc.yaml": "stages:\n  a: {cmd: '" + "x" * 300 + "'}\n"})
    assert len(read(repo, cache)[0].stages[0].command) == 300
    small = Limits(text=10)
    assert read(repo, cache, limits=small) == read(repo, None, limits=small)


def test_the_cache_is_private(repo: Any, tmp_path: Path) -> None:
    repo.commit(FILES)
    read(repo, tmp_path / "cache")
    assert (tmp_path / "cache").stat().st_mode & 0o077 == 0


def test_commits_are_read_once(repo: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckanext.mlops.core.gitobjects import GitObjects

    cache = tmp_path / "cache"
    for number in range(3):
        repo.commit({"params.yaml": f"a: {number}\n"}, tag=f"v{number}")
    repo.git("tag", "-a", "noted", "-m", "what it is")
    read(repo, cache)
    repo.commit({"params.yaml": "a: 9\n"}, tag="v9")
    asked: list[str] = []
    commits = GitObjects.commits

    def counted(self: GitObjects, oids: Any) -> Any:
        asked.extend(oids := list(oids))
        return commits(self, oids)

    monkeypatch.setattr(GitObjects, "commits", counted)  # counts, and does what it always does
    warm_reading = read_repository(repo.folder, url=repo.url, cache=cache)
    assert len(asked) == 1
    cold = read_repository(repo.folder, url=repo.url)
    assert warm_reading.revisions == cold.revisions
    assert next(one for one in cold.revisions if one.name == "noted").note == "what it is"


def test_a_damaged_memory_of_commits_is_read_anew(repo: Any, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    repo.commit(FILES, tag="one")
    read(repo, cache)
    beside = tmp_path / "cache.commits"
    beside.write_bytes(beside.read_bytes()[:-5])
    assert read(repo, cache) == read(repo, None)


def git_processes(folder: Path) -> list[str]:
    """Of this process, for one repository."""
    children = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children")
    if not children.exists():
        pytest.skip("this system does not tell the children of a process")
    return [pid for pid in children.read_text().split() if str(folder) in Path(f"/proc/{pid}/cmdline").read_text()]


def test_the_git_process_of_a_reading_ends_with_it(repo: Any, tmp_path: Path) -> None:
    """It is kept from opening to the first reading, which saves the start of another."""
    repo.commit(FILES, tag="one")
    repo.commit({"params.yaml": "a: 2\n"})
    reading = repo.read()
    assert len(git_processes(repo.folder)) == 1
    first, second = iter(reading), iter(reading)
    assert next(first) == next(second)
    assert len(git_processes(repo.folder)) == 2
    assert list(first) == list(second)
    assert not git_processes(repo.folder)
    never_read = repo.read()
    assert git_processes(repo.folder)
    del never_read
    assert not git_processes(repo.folder)
    with pytest.raises(LimitExceeded):
        repo.read(limits=Limits(refs=1))
    assert not git_processes(repo.folder)
