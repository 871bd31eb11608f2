"""A mirror follows its source, and survives what happens to either."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from ckanext.mlops.core.errors import FetchFailed
from ckanext.mlops.core.mirror import Policy, open_repository, update_mirror

pytestmark = pytest.mark.slow


def refs(read, mirror):
    return read(mirror.git_dir, "for-each-ref", "--format=%(refname)").split()


@pytest.mark.parametrize("form", ["folder", "dot-git", "bare", "file-url", "bundle"])
def test_every_form_of_local_repository_opens(form, repository, root, mirrors, policy, read):
    commit = repository.commit("params.yaml", "lr: 1\n")
    repository.git("tag", "v1")
    repository.git("clone", "--quiet", "--bare", ".", str(root / "bare.git"))
    repository.git("bundle", "create", "--quiet", str(root / "all.bundle"), "--all", "HEAD")
    address = {
        "folder": repository.path,
        "dot-git": repository.path / ".git",
        "bare": root / "bare.git",
        "file-url": f"file://{repository.path}",
        "bundle": root / "all.bundle",
    }[form]
    git_dir = open_repository(str(address), folder=mirrors, policy=policy)
    assert read(git_dir, "rev-parse", "HEAD", "v1").split() == [commit, commit]
    assert read(git_dir, "show", "HEAD:params.yaml") == "lr: 1"


def test_nothing_moved_means_unchanged_and_no_fetch(repository, mirrors, policy):
    first = update_mirror(str(repository.path), mirrors, policy=policy)
    packs = sorted((first.git_dir / "objects" / "pack").iterdir())
    second = update_mirror(str(repository.path), mirrors, policy=policy)
    assert (first.changed, second.changed) == (True, False)
    assert first.digest == second.digest
    assert packs == sorted((second.git_dir / "objects" / "pack").iterdir())


def test_new_commits_deleted_refs_and_forced_pushes_are_followed(repository, mirrors, policy, read):
    repository.git("branch", "side")
    repository.git("tag", "-a", "-m", "one", "v1")
    before = update_mirror(str(repository.path), mirrors, policy=policy)
    assert refs(read, before) == ["refs/heads/main", "refs/heads/side", "refs/tags/v1"]
    repository.git("branch", "-D", "side")
    repository.git("commit", "--quiet", "--amend", "-m", "rewritten")
    repository.git("tag", "-f", "v1")
    # A branch below the name of one that is gone.
    repository.git("branch", "side/deep")
    after = update_mirror(str(repository.path), mirrors, policy=policy)
    assert after.changed
    assert refs(read, after) == ["refs/heads/main", "refs/heads/side/deep", "refs/tags/v1"]
    assert read(after.git_dir, "log", "--format=%s", "main", "v1") == "rewritten"


def test_a_renamed_default_branch_is_a_change(repository, mirrors, policy, read):
    assert update_mirror(str(repository.path), mirrors, policy=policy).default_branch == "main"
    repository.git("branch", "trunk")
    update_mirror(str(repository.path), mirrors, policy=policy)
    repository.git("symbolic-ref", "HEAD", "refs/heads/trunk")
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert (mirror.default_branch, mirror.changed) == ("trunk", True)
    assert read(mirror.git_dir, "symbolic-ref", "HEAD") == "refs/heads/trunk"


def test_a_detached_head_stands_for_the_branch_at_the_same_commit_or_main(repository, mirrors, policy):
    repository.git("checkout", "--quiet", "-b", "only-here")
    repository.commit("x", "1")
    repository.git("checkout", "--quiet", "--detach")
    assert update_mirror(str(repository.path), mirrors, policy=policy).default_branch == "only-here"
    repository.commit("x", "2")
    assert update_mirror(str(repository.path), mirrors, policy=policy).default_branch == "main"


def test_an_empty_repository_is_a_mirror_without_refs(make, mirrors, policy, read):
    empty = make("empty")
    mirror = update_mirror(str(empty.path), mirrors, policy=policy)
    assert (mirror.default_branch, refs(read, mirror)) == ("", [])
    empty.commit()
    mirror = update_mirror(str(empty.path), mirrors, policy=policy)
    assert (mirror.default_branch, mirror.changed) == ("main", True)


def test_experiments_come_when_asked_without_dvcs_scratch_space(repository, mirrors, root, policy, read):
    for name in (
        "exps/ab/cdef/exp-1",
        "exps/exec/EXEC_HEAD",
        "exps/stash",
        "exps/celery/x/y",
        "pull/1/head",
        "notes/x",
    ):
        repository.git("update-ref", f"refs/{name}", "HEAD")
    with_them = Policy(roots=(root,), experiments=True)
    mirror = update_mirror(str(repository.path), mirrors, policy=with_them)
    assert refs(read, mirror) == ["refs/exps/ab/cdef/exp-1", "refs/heads/main"]
    assert not update_mirror(str(repository.path), mirrors, policy=with_them).changed
    without = update_mirror(str(repository.path), mirrors, policy=policy)
    assert refs(read, without) == ["refs/heads/main"]


def test_files_above_the_limit_stay_away_and_read_as_missing(repository, mirrors, root, policy, read):
    small = b"lr: 1\n"
    repository.commit("params.yaml", small)
    repository.commit("model.bin", os.urandom(3_000_000))
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert mirror.partial
    assert sum(file.stat().st_size for file in mirror.git_dir.rglob("*.pack")) < 100_000
    # No configuration names a promisor: Git says "missing" and goes on, where it would stop the whole batch.
    answer = read(mirror.git_dir, "cat-file", "--batch-check", text=b"main:model.bin\nmain:params.yaml\n")
    assert [line.split()[1] for line in answer.splitlines()] == ["missing", "blob"]
    repository.commit("params.yaml", "lr: 2\n")
    assert update_mirror(str(repository.path), mirrors, policy=policy).changed
    whole = update_mirror(str(repository.path), mirrors, policy=Policy(roots=(root,), blob_limit=""))
    assert read(whole.git_dir, "cat-file", "-s", "main:model.bin") == "3000000"


def test_many_updates_do_not_pile_up_packs(repository, mirrors, policy, read):
    for number in range(40):
        repository.commit("n", str(number))
        mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert len(list(mirror.git_dir.rglob("*.pack"))) <= 31
    assert read(mirror.git_dir, "rev-list", "--count", "main") == "41"


def test_a_shallow_source_gives_a_shallow_mirror_that_deepens_with_it(repository, make, root, mirrors, policy, read):
    for number in range(5):
        repository.commit("n", str(number))
    repository.git("clone", "--quiet", "--depth=2", f"file://{repository.path}", str(root / "shallow"))
    mirror = update_mirror(str(root / "shallow"), mirrors, policy=policy)
    assert mirror.shallow
    assert read(mirror.git_dir, "rev-list", "--count", "main") == "2"
    subprocess.run(["git", "-C", root / "shallow", "fetch", "--quiet", "--unshallow"], check=True)
    mirror = update_mirror(str(root / "shallow"), mirrors, policy=policy)
    assert not mirror.shallow
    assert read(mirror.git_dir, "rev-list", "--count", "main") == "6"


def test_sha256_repositories_are_mirrored(make, mirrors, policy, read):
    modern = make("modern", "--object-format=sha256")
    commit = modern.commit()
    mirror = update_mirror(str(modern.path), mirrors, policy=policy)
    assert len(commit) == 64
    assert read(mirror.git_dir, "rev-parse", "main") == commit
    modern.commit("x", "2")
    assert update_mirror(str(modern.path), mirrors, policy=policy).changed


def test_a_source_that_changes_its_hash_algorithm_is_cloned_anew(make, root, mirrors, policy, read):
    make("repo").commit()
    update_mirror(str(root / "repo"), mirrors, policy=policy)
    (root / "repo").rename(root / "old")
    commit = make("repo", "--object-format=sha256")
    commit = commit.commit()
    assert read(update_mirror(str(root / "repo"), mirrors, policy=policy).git_dir, "rev-parse", "main") == commit


def test_a_damaged_mirror_is_cloned_anew(repository, mirrors, policy, read):
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    for pack in mirror.git_dir.rglob("*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(b"rubbish")
    repository.commit("x", "2")
    again = update_mirror(str(repository.path), mirrors, policy=policy)
    assert read(again.git_dir, "rev-list", "--count", "--objects", "main") == "6"


def test_a_mirror_without_our_mark_is_not_trusted(repository, mirrors, policy, read):
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    state = mirror.git_dir / "mlops.json"
    for content in ("", "[]", "{}", json.dumps({"version": 99})):
        state.write_text(content)
        (mirror.git_dir / "refs" / "heads" / "planted").write_text(read(mirror.git_dir, "rev-parse", "main") + "\n")
        assert "refs/heads/planted" not in refs(read, update_mirror(str(repository.path), mirrors, policy=policy))


def test_mirrors_of_different_addresses_do_not_share_a_folder(make, mirrors, policy):
    one, two = make("a/repo"), make("b/repo")
    one.commit("x", "1")
    two.commit("x", "2")
    found = {update_mirror(str(item.path), mirrors, policy=policy).git_dir for item in (one, two)}
    assert len(found) == 2


WORKER = """
import sys, json
from pathlib import Path
from ckanext.mlops.core.mirror import Policy, update_mirror
root, mirrors = Path(sys.argv[1]), Path(sys.argv[2])
mirror = update_mirror(str(root / "repo"), mirrors, policy=Policy(roots=(root,), timeout=60))
print(json.dumps([str(mirror.git_dir), mirror.changed]))
"""


def test_two_processes_at_once_do_not_disturb_each_other(repository, root, mirrors):
    for number in range(20):
        repository.commit("data", os.urandom(50_000) + bytes([number]))
    workers = [
        subprocess.Popen([sys.executable, "-c", WORKER, str(root), str(mirrors)], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0, 0]
    assert len({git_dir for git_dir, _ in answers}) == 1
    assert sorted(changed for _, changed in answers) == [False, False, False, True]


def test_waiting_for_another_process_ends_with_a_clear_word(repository, root, mirrors, policy):
    import fcntl

    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    with mirror.git_dir.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(FetchFailed, match="another process"):
            update_mirror(str(repository.path), mirrors, policy=Policy(roots=(root,), timeout=0.3))


@pytest.mark.parametrize("stage", ["clone", "update"])
def test_a_killed_worker_leaves_nothing_that_is_trusted(stage, repository, root, mirrors, policy, read):
    if stage == "update":
        update_mirror(str(repository.path), mirrors, policy=policy)
    for number in range(60):
        repository.commit(f"data/{number}", os.urandom(200_000))
        repository.git("tag", f"v{number}")
    for pause in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5):
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(root), str(mirrors)], stdout=subprocess.DEVNULL)
        time.sleep(pause)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    start = time.monotonic()
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert time.monotonic() - start < 60
    assert read(mirror.git_dir, "rev-list", "--count", "main") == "61"
    assert len(refs(read, mirror)) == 61
    # Every object is there and sound, and nothing of the killed ones is left.
    read(mirror.git_dir, "fsck", "--full")
    assert not [path for path in mirrors.rglob("*") if "tmp" in path.name or path.suffix in (".new",)]
    assert not list(mirror.git_dir.rglob("*.lock"))


def test_a_reader_goes_on_while_the_mirror_is_updated(repository, mirrors, policy, read):
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    first, failures = read(mirror.git_dir, "rev-parse", "main"), []
    stop = threading.Event()

    def reading():
        while not stop.is_set():
            try:
                read(mirror.git_dir, "cat-file", "-p", f"{first}:dvc.yaml")
            except AssertionError as error:
                failures.append(error)

    reader = threading.Thread(target=reading)
    reader.start()
    for number in range(10):
        repository.commit("n", str(number))
        repository.git("commit", "--quiet", "--amend", "-m", "rewritten")
        update_mirror(str(repository.path), mirrors, policy=policy)
    stop.set()
    reader.join()
    assert not failures
