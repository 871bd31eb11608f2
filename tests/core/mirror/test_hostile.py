"""Repositories that attack whoever fetches them. Each ends with a clear error, or is read without harm."""

import os
import subprocess
import time

import pytest

from ckanext.mlops.core.errors import AddressRefused, FetchFailed, LimitExceeded
from ckanext.mlops.core.mirror import Policy, git_environment, update_mirror

pytestmark = pytest.mark.slow


@pytest.fixture
def marker(tmp_path):
    """A file that an attack would create; ``command`` creates it."""
    path = tmp_path / "attacked"
    yield path
    assert not path.exists(), "the repository's command ran"


def configure(repository, text):
    with (repository.path / ".git" / "config").open("a") as config:
        config.write(text)


def test_commands_in_the_repositorys_configuration_do_not_run(repository, mirrors, policy, marker, tmp_path):
    command = f"touch {marker}"
    script = tmp_path / "attack"
    script.write_text(f'#!/bin/sh\n{command}\nexec "$@"\n')
    script.chmod(0o755)
    (tmp_path / "included").write_text(f"[core]\n\tfsmonitor = {script}\n\thooksPath = {tmp_path}/hooks\n")
    for hook in ("post-checkout", "reference-transaction", "pre-auto-gc", "post-upload-pack", "post-index-change"):
        for folder in (repository.path / ".git" / "hooks", tmp_path / "hooks"):
            folder.mkdir(exist_ok=True)
            (folder / hook).write_text(f"#!/bin/sh\n{command}\n")
            (folder / hook).chmod(0o755)
    configure(
        repository,
        f"""
[core]
	fsmonitor = {script}
	sshCommand = {command}
	pager = {command}
	editor = {command}
	askPass = {script}
	gitProxy = {script}
	alternateRefsCommand = {command}
	hooksPath = {tmp_path}/hooks
[uploadpack]
	packObjectsHook = {script}
[include]
	path = {tmp_path}/included
[credential]
	helper = !{command}
[remote "origin"]
	url = ext::{script}
	uploadpack = {script}
[filter "x"]
	smudge = {command}
	clean = {command}
	process = {command}
[alias]
	fetch = !{command}
[gc]
	auto = 1
""",
    )
    repository.git("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "config", "extensions.x", "1")
    (repository.path / ".gitattributes").write_text("* filter=x\n")
    for _ in range(2):
        update_mirror(str(repository.path), mirrors, policy=policy)


def test_a_promisor_remote_in_the_repository_is_never_asked(repository, make, mirrors, policy, marker):
    """A missing object makes Git fetch it from where the repository says, with the command that it says."""
    blob = repository.git("rev-parse", "HEAD:dvc.yaml")
    (repository.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    make("other").commit()
    configure(
        repository,
        f'[remote "x"]\n\turl = {make("third").path}\n\tpromisor = true\n\tpartialclonefilter = blob:none\n'
        f"\tuploadpack = touch {marker}; git-upload-pack\n",
    )
    with pytest.raises(FetchFailed, match="damaged or missing"):
        update_mirror(str(repository.path), mirrors, policy=policy)
    # The environment of readers asks nobody either, even in such a folder.
    command = ["git", "--git-dir", repository.path / ".git", "cat-file", "-p", blob]
    assert subprocess.run(command, env=git_environment(), capture_output=True, check=False).returncode != 0


def test_an_include_of_a_foreign_file_does_not_show_its_content(repository, mirrors, policy, tmp_path):
    (tmp_path / "secret").write_text("[[[hunter2\n")
    configure(repository, f"[include]\n\tpath = {tmp_path}/secret\n")
    with pytest.raises(FetchFailed) as caught:
        update_mirror(str(repository.path), mirrors, policy=policy)
    assert "hunter2" not in str(caught.value)


def test_alternates_outside_the_roots_are_refused(repository, mirrors, policy, tmp_path):
    hidden = tmp_path / "hidden"
    subprocess.run(["git", "init", "--quiet", hidden], check=True)
    info = repository.path / ".git" / "objects" / "info"
    for line in (f"{hidden}/.git/objects", "../../../../hidden/.git/objects", f'"{hidden}/.git/objects"'):
        (info / "alternates").write_text(f"# note\n{line}\n")
        with pytest.raises(AddressRefused, match="outside"):
            update_mirror(str(repository.path), mirrors, policy=policy)


def test_alternates_inside_the_roots_are_read(repository, root, mirrors, policy, read):
    repository.git("clone", "--quiet", "--shared", str(repository.path), str(root / "shared"))
    mirror = update_mirror(str(root / "shared"), mirrors, policy=policy)
    assert read(mirror.git_dir, "show", "main:dvc.yaml") == "stages: {}"


def test_links_out_of_the_repository_are_refused(repository, root, mirrors, policy, tmp_path):
    outside = tmp_path / "outside"
    subprocess.run(["git", "init", "--quiet", outside], check=True)
    (root / "linked").mkdir()
    (root / "linked" / ".git").symlink_to(outside / ".git")
    (root / "pointer").mkdir()
    (root / "pointer" / ".git").write_text(f"gitdir: {outside}/.git\n")
    objects = repository.path / ".git" / "objects"
    (root / "moved").mkdir()
    objects.rename(tmp_path / "objects")
    objects.symlink_to(tmp_path / "objects")
    for name in ("linked", "pointer", "repo"):
        with pytest.raises(AddressRefused, match="outside"):
            update_mirror(str(root / name), mirrors, policy=policy)


def test_a_worktree_inside_the_roots_is_read(repository, root, mirrors, policy):
    repository.git("worktree", "add", "--quiet", "-b", "side", str(root / "tree"))
    assert update_mirror(str(root / "tree"), mirrors, policy=policy).default_branch == "side"


def test_replace_refs_do_not_change_what_is_read(repository, mirrors, policy, read):
    commit = repository.commit("params.yaml", "lr: 1\n")
    blob = repository.git("rev-parse", "HEAD:params.yaml")
    other = repository.git("hash-object", "-w", "--stdin", text=b"lr: 666\n")
    repository.git("replace", blob, other)
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert "replace" not in read(mirror.git_dir, "for-each-ref")
    # Even a replace ref inside the mirror is without effect.
    subprocess.run(["git", "--git-dir", mirror.git_dir, "update-ref", f"refs/replace/{blob}", commit], check=True)
    assert read(mirror.git_dir, "show", "main:params.yaml") == "lr: 1"


def test_submodules_are_not_fetched(repository, make, root, mirrors, policy, read):
    inner = make("inner")
    inner.commit("secret", "1")
    repository.git("-c", "protocol.file.allow=always", "submodule", "add", "--quiet", str(inner.path), "sub")
    repository.git("commit", "--quiet", "-m", "sub")
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert read(mirror.git_dir, "cat-file", "-t", "main:.gitmodules") == "blob"
    assert not list(mirror.git_dir.glob("modules"))
    answer = read(mirror.git_dir, "cat-file", "--batch-check", text=inner.git("rev-parse", "HEAD").encode() + b"\n")
    assert answer.endswith("missing")


@pytest.mark.parametrize(
    "url", ["ext::touch {marker}", "--upload-pack=touch {marker}", "file:///etc", "-c core.x=y"], ids=range(4)
)
def test_hostile_gitmodules_do_no_harm(url, repository, mirrors, policy, marker):
    target = url.format(marker=marker)
    repository.commit(".gitmodules", f'[submodule "../../x"]\n\tpath = -x\n\turl = {target}\n\tupdate = !{target}\n')
    update_mirror(str(repository.path), mirrors, policy=policy)


def test_a_repository_over_the_limit_is_stopped_before_it_is_complete(repository, mirrors, root):
    for number in range(6):
        repository.commit(f"data/{number}", os.urandom(8_000_000))
    limit = 5_000_000
    policy = Policy(roots=(root,), blob_limit="", max_bytes=limit)
    with pytest.raises(LimitExceeded, match="larger than 5,000,000 bytes"):
        update_mirror(str(repository.path), mirrors, policy=policy)
    assert sum(path.stat().st_size for path in mirrors.rglob("*") if path.is_file()) < limit


def test_a_mirror_that_grows_over_the_limit_stays_as_it_was(repository, mirrors, root, read):
    policy = Policy(roots=(root,), blob_limit="", max_bytes=2_000_000)
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    commit = repository.git("rev-parse", "HEAD")
    repository.commit("big", os.urandom(8_000_000))
    for _ in range(2):
        with pytest.raises(LimitExceeded):
            update_mirror(str(repository.path), mirrors, policy=policy)
    assert read(mirror.git_dir, "rev-parse", "main") == commit
    assert sum(path.stat().st_size for path in mirrors.rglob("*") if path.is_file()) < 200_000


def test_a_file_that_unpacks_to_a_thousand_times_its_size_stays_small(repository, mirrors, root):
    repository.commit("zeros", bytes(200_000_000))
    policy = Policy(roots=(root,), blob_limit="", max_bytes=50_000_000)
    start = time.monotonic()
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert time.monotonic() - start < 60
    assert sum(path.stat().st_size for path in mirror.git_dir.rglob("*")) < 5_000_000


def test_a_bundle_over_the_limit_is_refused_unread(repository, root, mirrors):
    repository.commit("big", os.urandom(1_000_000))
    repository.git("bundle", "create", "--quiet", str(root / "x.bundle"), "--all")
    with pytest.raises(LimitExceeded, match="bundle"):
        update_mirror(str(root / "x.bundle"), mirrors, policy=Policy(roots=(root,), max_bytes=500_000))


def test_a_hundred_thousand_refs_are_refused_in_bounded_time(repository, mirrors, policy):
    commit = repository.git("rev-parse", "HEAD")
    lines = "".join(f"{commit} refs/tags/t{number:06}\n" for number in range(100_000))
    (repository.path / ".git" / "packed-refs").write_text("# pack-refs with: sorted\n" + lines)
    start = time.monotonic()
    with pytest.raises(LimitExceeded, match="100,001 branches, tags"):
        update_mirror(str(repository.path), mirrors, policy=policy)
    assert time.monotonic() - start < 30
    assert not list(mirrors.glob("*.git"))


def test_thousands_of_refs_are_fetched(repository, mirrors, policy, read):
    commit = repository.git("rev-parse", "HEAD")
    lines = "".join(f"{commit} refs/tags/t{number:06}\n" for number in range(5_000))
    (repository.path / ".git" / "packed-refs").write_text("# pack-refs with: sorted\n" + lines)
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert len(read(mirror.git_dir, "for-each-ref", "--format=x").splitlines()) == 5_001
    assert not update_mirror(str(repository.path), mirrors, policy=policy).changed


def test_a_tree_bomb_does_not_stop_the_fetch(repository, mirrors, policy):
    """Ten levels of ten equal trees: 10^10 paths, eleven objects."""
    blob = repository.git("hash-object", "-w", "--stdin", text=b"x")
    mode, kind, oid = "100644", "blob", blob
    for _ in range(10):
        listing = "".join(f"{mode} {kind} {oid}\tf{number}.dvc\n" for number in range(10))
        mode, kind, oid = "040000", "tree", repository.git("mktree", text=listing.encode())
    commit = repository.git("commit-tree", "-m", "bomb", oid)
    repository.git("update-ref", "refs/heads/bomb", commit)
    start = time.monotonic()
    update_mirror(str(repository.path), mirrors, policy=policy)
    assert time.monotonic() - start < 30


def test_trees_with_impossible_names_are_only_data(repository, mirrors, policy, tmp_path, read):
    blob = bytes.fromhex(repository.git("hash-object", "-w", "--stdin", text=b"x"))
    for number, name in enumerate((b"..", b".", b".git", b"a/../../../../planted", b"/planted")):
        text = b"100644 " + name + b"\0" + blob
        tree = repository.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", text=text)
        repository.git("update-ref", f"refs/heads/evil{number}", repository.git("commit-tree", "-m", "evil", tree))
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert len(read(mirror.git_dir, "for-each-ref", "refs/heads").splitlines()) == 6
    assert not list(tmp_path.rglob("planted"))


def test_old_mistakes_of_real_histories_are_read(repository, mirrors, policy, read):
    tree = repository.git("rev-parse", "HEAD^{tree}")
    strange = {
        "no-date": "author A <a@b> \ncommitter A <a@b> \n",
        "no-zone": "author A <a@b> 1000000000\ncommitter A <a@b> 1000000000\n",
        "far-zone": "author A <a@b> 1000000000 +51800\ncommitter A <a@b> 1000000000 +51800\n",
        "no-space": "author A<a@b> 1000000000 +0000\ncommitter A<a@b> 1000000000 +0000\n",
        "no-mail": "author A 1000000000 +0000\ncommitter A 1000000000 +0000\n",
        "overflow": "author A <a@b> 99999999999999999999 +0000\ncommitter A <a@b> 99999999999999999999 +0000\n",
    }
    for branch, header in strange.items():
        text = f"tree {tree}\n{header}\nold\n".encode()
        commit = repository.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", text=text)
        (repository.path / ".git" / "refs" / "heads" / branch).write_text(commit + "\n")
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert len(read(mirror.git_dir, "for-each-ref", "refs/heads").splitlines()) == len(strange) + 1


def test_corrupt_and_missing_objects_are_named_and_leave_no_mirror(repository, mirrors, policy):
    blob = repository.git("rev-parse", "HEAD:dvc.yaml")
    file = repository.path / ".git" / "objects" / blob[:2] / blob[2:]
    file.chmod(0o600)
    for content in (b"rubbish", None):
        file.unlink() if content is None else file.write_bytes(content)
        with pytest.raises(FetchFailed, match="git fsck"):
            update_mirror(str(repository.path), mirrors, policy=policy)
    assert not list(mirrors.glob("*.git"))
    assert not list(mirrors.glob("*.new"))


def test_a_folder_that_is_no_repository_is_named(root, mirrors, policy):
    (root / "plain").mkdir()
    (root / "plain" / "file").write_text("x")
    with pytest.raises(FetchFailed, match="no Git repository"):
        update_mirror(str(root / "plain"), mirrors, policy=policy)
    with pytest.raises(FetchFailed, match=r"no repository|damaged|Git could not"):
        update_mirror(str(root / "plain" / "file"), mirrors, policy=policy)


def test_a_partial_bundle_says_what_to_do(repository, root, mirrors, policy):
    repository.commit("x", "2")
    repository.git("bundle", "create", "--quiet", str(root / "x.bundle"), "main~1..main")
    with pytest.raises(FetchFailed, match="bundle create X --all"):
        update_mirror(str(root / "x.bundle"), mirrors, policy=policy)


def test_ref_names_that_look_like_options_or_code_are_only_names(repository, mirrors, policy, marker, read):
    commit = repository.git("rev-parse", "HEAD")
    name = f"refs/heads/$(touch${{IFS}}{marker.name});--upload-pack=x"
    (repository.path / ".git" / "packed-refs").write_text(f"{commit} {name}\n{commit} refs/heads/--all\n")
    mirror = update_mirror(str(repository.path), mirrors, policy=policy)
    assert name in read(mirror.git_dir, "for-each-ref", "--format=%(refname)")


def test_surroundings_of_the_caller_have_no_effect(repository, mirrors, policy, marker, monkeypatch, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".gitconfig").write_text(
        f'[core]\n\tsshCommand = touch {marker}\n[url "/etc"]\n\tinsteadOf = /\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_SSH_COMMAND", f"touch {marker}")
    monkeypatch.setenv("GIT_TRACE", str(marker))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", f"'core.fsmonitor=touch {marker}'")
    monkeypatch.setenv("GIT_EXEC_PATH", "/nonexistent")
    assert update_mirror(str(repository.path), mirrors, policy=policy).changed
