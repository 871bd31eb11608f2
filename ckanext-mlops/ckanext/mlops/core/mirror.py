"""A bare copy of a repository that strangers control, in a folder of ours.

:func:`update_mirror` clones or fetches what an address names and returns where it is. Every source goes this way, a
local folder and a bundle too: reading a folder in place would trust its ``.git/config``, its alternates and its
promisor remotes for as long as it is read, while a mirror has our configuration, holds still, and is one code path.
What is taken: branches, tags and, when asked, DVC experiments; never pull requests (strangers write them), replace
refs, notes or submodules. Files above the blob limit stay on the server and read as missing objects.

Folders: ``FOLDER/<key>.git`` is a mirror, ``.lock`` its lock, ``.new`` one in the making.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from . import mirror_folder
from .address import Credential, Policy, Resolve, Source, check_address
from .errors import FetchFailed, LimitExceeded
from .gitcommand import MEMORY, GitError, git_environment, run_git
from .localgit import check_local
from .naming import repository_name, slug
from .transport import EXPERIMENTS, PRIVATE_EXPERIMENTS, failure, redirected, too_large, transport_environment

__all__ = ["Credential", "Mirror", "Policy", "git_environment", "known_mirror", "open_repository", "update_mirror"]

_STATE = "mlops.json"
_NAMESPACES = ("refs/heads/", "refs/tags/")
_NO_BRANCH = "refs/none"
_MAX_PACKS = 30
_MAX_LOOSE_REFS = 100
# Git holds the whole list of refs in memory before it says how many there are.
_LIST_MEMORY = 1024**3
# Damage of our own copy (a full disk, a crash of the machine): worth a fresh clone.
_BROKEN = re.compile(
    r"bad object|corrupt|did not send all necessary|unable to read|invalid index-pack|index file .* is too small"
    r"|packfile .* (?:invalid|cannot)|bad config|not a git repository|bad pack|object file .* is empty",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Mirror:
    """A mirror after an update.

    :param git_dir: bare repository to read with :func:`git_environment`
    :param url: of the source, fit to be shown and stored
    :param default_branch: short name; ``""`` when the source has none
    :param changed: whether any ref or the default branch differs from the update before
    :param digest: of all refs; equal digests mean equal content
    :param partial: whether files above the blob limit were left out
    :param shallow: whether the source itself has no complete history
    """

    git_dir: Path
    url: str
    default_branch: str
    changed: bool
    digest: str
    partial: bool = False
    shallow: bool = False

    @property
    def cache(self) -> Path:
        """Where what was read of it is remembered, beside it (:mod:`.cache`)."""
        return cache_of(self.git_dir)


def cache_of(git_dir: Path) -> Path:
    """:attr:`Mirror.cache` of the mirror in that folder."""
    return git_dir.with_name(f"{git_dir.name}.cache")


def open_repository(address: str, *, folder: Path, policy: Policy, credential: Credential | None = None) -> Path:
    """The Git directory in which ``address`` (URL, folder, bare folder or bundle) can be read, brought up to date.

    >>> git_dir = open_repository(".", folder=Path("mirrors"), policy=Policy(roots=(Path("/"),)))  # doctest: +SKIP
    """
    return update_mirror(address, folder, policy=policy, credential=credential).git_dir


def _key(url: str) -> str:
    return f"{slug(repository_name(url), 40)}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def existing_mirror(url: str, folder: Path) -> Path | None:
    """The Git directory of the mirror of ``url`` (:attr:`Mirror.url`) as it is; nothing is contacted."""
    git_dir = folder.resolve() / f"{_key(url)}.git"
    return git_dir if (git_dir / _STATE).is_file() else None


def update_mirror(
    url: str,
    folder: Path,
    *,
    policy: Policy,
    credential: Credential | None = None,
    resolve: Resolve = socket.getaddrinfo,
    meanwhile: Callable[[], None] | None = None,
    ahead: Callable[[Path], None] | None = None,
) -> Mirror:
    """Clone ``url`` below ``folder``, or fetch what changed since the last time.

    Two processes never work on one mirror at once; the second waits. A call that is killed at any point leaves either
    the earlier mirror or none. When no ref moved, nothing is fetched.

    :param folder: where mirrors are kept; created when missing, readable by its owner only
    :param meanwhile: done once, while the source is asked for its refs
    :param ahead: done with :attr:`Mirror.cache`, while what is new is fetched into a mirror that was there
    :raises AddressRefused: the policy does not allow the address
    :raises FetchFailed: network, access, time, or a source that is not a sound repository
    :raises LimitExceeded: too many bytes or refs; the transfer is stopped when the limit is met
    """
    source = check_address(url, policy, resolve)
    deadline = time.monotonic() + policy.timeout
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = _key(source.url)
    with _locked(folder / f"{key}.lock", deadline, source) as lock:
        return _Job(source, policy, credential, resolve, folder.resolve() / key, deadline, lock, meanwhile, ahead).run()


def known_mirror(url: str, folder: Path, *, policy: Policy) -> tuple[Path, str] | None:
    """Like :func:`existing_mirror`, for a source's address as people wrote it; and its :attr:`Mirror.url`.

    :raises AddressRefused: the policy does not allow the address
    """
    # The name was looked up when the mirror was made; any public address will do for what does not connect.
    source = check_address(url, policy, lambda *_: [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("1.1.1.1", 0))])
    git_dir = existing_mirror(source.url, folder)
    return (git_dir, source.url) if git_dir else None


@contextlib.contextmanager
def _locked(path: Path, deadline: float, source: Source) -> Iterator[int]:
    """Hold the lock file; it is freed by the kernel when this process and the Git it started are gone."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise FetchFailed(
                        f"{source.url}: another process is still fetching it; try again when it is done."
                    ) from None
                time.sleep(0.05)
        yield descriptor
    finally:
        os.close(descriptor)


class _Job:
    """One update of one mirror, under its lock."""

    def __init__(
        self,
        source: Source,
        policy: Policy,
        credential: Credential | None,
        resolve: Resolve,
        place: Path,
        deadline: float,
        lock: int,
        meanwhile: Callable[[], None] | None,
        ahead: Callable[[Path], None] | None,
    ) -> None:
        self.source = source
        self.policy = policy
        self.credential = credential
        self.resolve = resolve
        self.git_dir = place.with_name(place.name + ".git")
        self.staging = place.with_name(place.name + ".new")
        self.settings = place.with_name("gitconfig")
        self.deadline = deadline
        self.lock = lock
        self.meanwhile = meanwhile
        self.ahead = ahead
        self.blob_limit = policy.blob_limit if source.transport != "bundle" else ""
        self._connect(source)

    def _connect(self, remote: Source) -> None:
        """Talk to ``remote``, which is the source or where it redirects."""
        self.remote = remote
        same = (remote.transport, remote.host, remote.port) == (
            self.source.transport,
            self.source.host,
            self.source.port,
        )
        self.environment = transport_environment(
            remote,
            self.policy,
            self.credential if same else None,
            blob_limit=self.blob_limit,
            global_config=str(self.settings),
        )

    def run(self) -> Mirror:
        """Bring the mirror up to date."""
        # `upload-pack` of a local repository gets no GIT_CONFIG_COUNT from Git, only this file.
        mirror_folder.write(self.settings, "[safe]\n\tdirectory = *\n[uploadpack]\n\tallowFilter = true\n")
        mirror_folder.remove(self.staging)
        if self.source.transport in ("file", "bundle"):
            check_local(self.source, self.policy)
        refs, head = self._advertised()
        state = self._state()
        if state is None or state["blob_limit"] != self.blob_limit or state["format"] != _object_format(refs):
            return self._clone(refs, head, state)
        if state["digest"] == _digest(refs, head) and not mirror_folder.is_shallow(self.git_dir):
            return self._mirror(state, changed=False)
        mirror_folder.sweep(self.git_dir)
        try:
            new = self._fetch(self.git_dir, head, _object_format(refs))
        except GitError as error:
            if not _BROKEN.search(error.text):
                raise self._failure(error) from error
            return self._clone(refs, head, state)
        finally:
            mirror_folder.sweep(self.git_dir)
        return self._mirror(new, changed=new["digest"] != state["digest"])

    def _clone(self, refs: dict[str, str], head: str, before: dict[str, Any] | None) -> Mirror:
        """A complete mirror beside the present one, then in its place."""
        object_format = _object_format(refs)
        try:
            self._git(
                ["init", "--quiet", "--bare", "--template=", f"--object-format={object_format}", str(self.staging)]
            )
            state = self._fetch(self.staging, head, object_format)
        except GitError as error:
            mirror_folder.remove(self.staging)
            raise self._failure(error) from error
        except BaseException:
            mirror_folder.remove(self.staging)
            raise
        mirror_folder.remove(self.git_dir)
        self.staging.rename(self.git_dir)
        return self._mirror(state, changed=before is None or before["digest"] != state["digest"])

    def _fetch(self, git_dir: Path, head: str, object_format: str) -> dict[str, Any]:
        mirror_folder.write(git_dir / "config", mirror_folder.configuration(object_format))
        arguments = ["fetch", "--quiet", "--force", "--prune", "--no-tags", "--update-shallow", "--no-auto-maintenance"]
        arguments += ["--no-write-fetch-head", "--no-recurse-submodules", "--no-show-forced-updates"]
        if mirror_folder.is_shallow(git_dir):
            arguments.append("--unshallow")
        # URL, refspecs and filter of origin are in the environment: no argument comes from the address, and the
        # mirror's own configuration names no promisor, so that a file which was left out reads as missing.
        known = git_dir == self.git_dir
        ahead = partial(self.ahead, cache_of(git_dir)) if self.ahead is not None and known else None
        self._git(["--git-dir", str(git_dir), *arguments, "--", "origin"], git_dir=git_dir, meanwhile=ahead)
        self._check_size(git_dir)
        if mirror_folder.loose_refs(git_dir, _MAX_LOOSE_REFS) == _MAX_LOOSE_REFS:
            self._git(["--git-dir", str(git_dir), "pack-refs", "--all"])
        refs = self._local_refs(git_dir)
        if len(refs) > self.policy.max_refs:
            raise self._too_many_refs(len(refs))
        branch = head if head in refs else _fallback_branch(refs)
        if mirror_folder.head(git_dir) != (branch or _NO_BRANCH):
            self._git(["--git-dir", str(git_dir), "symbolic-ref", "HEAD", branch or _NO_BRANCH])
        if len(list((git_dir / "objects" / "pack").glob("*.pack"))) > _MAX_PACKS:
            with contextlib.suppress(GitError):
                self._git(["--git-dir", str(git_dir), "gc", "--quiet", "--cruft"])
        state = {
            "version": 1,
            "url": self.source.url,
            "default_branch": branch.removeprefix("refs/heads/"),
            "digest": _digest(refs, branch),
            "blob_limit": self.blob_limit,
            "format": object_format,
        }
        mirror_folder.write(git_dir / _STATE, json.dumps(state))
        return state

    def _mirror(self, state: dict[str, Any], *, changed: bool) -> Mirror:
        return Mirror(
            git_dir=self.git_dir,
            url=self.source.url,
            default_branch=state["default_branch"],
            changed=changed,
            digest=state["digest"],
            partial=bool(state["blob_limit"]),
            shallow=mirror_folder.is_shallow(self.git_dir),
        )

    def _state(self) -> dict[str, Any] | None:
        """What the last complete update wrote; None when there was none."""
        try:
            state = json.loads((self.git_dir / _STATE).read_text())
        except (OSError, ValueError):
            return None
        sound = isinstance(state, dict) and state.get("version") == 1 and state.get("url") == self.source.url
        return state if sound else None

    def _advertised(self) -> tuple[dict[str, str], str]:
        """Refs of the source that are of interest, and the full name of its default branch (``""`` = none)."""
        patterns = ["HEAD", "refs/heads/*", "refs/tags/*"]
        if self.policy.experiments:
            patterns.append(EXPERIMENTS + "*")
        text = self._listed(["ls-remote", "--quiet", "--symref", "--", "origin", *patterns])
        refs: dict[str, str] = {}
        symbolic = detached = ""
        for line in text.decode("utf-8", "surrogateescape").splitlines():
            value, _, name = line.partition("\t")
            if name == "HEAD" and value.startswith("ref: "):
                symbolic = value[5:]
            elif name == "HEAD":
                detached = value
            elif self._wanted(name) and not name.endswith("^{}"):
                refs[name] = value
        if len(refs) > self.policy.max_refs:
            raise self._too_many_refs(len(refs))
        if not refs and self.source.transport in ("https", "http"):
            # An empty page, such as a login form's, looks like this to Git; what depends on it must not be emptied.
            raise FetchFailed(
                f"{self.source.url}: the server lists no branch and no tag; the repository is empty, or something else "
                f"answers in its place."
            )
        if symbolic in refs:
            return refs, symbolic
        same = {name: value for name, value in refs.items() if value == detached and name.startswith("refs/heads/")}
        return refs, _fallback_branch(same) or _fallback_branch(refs)

    def _listed(self, arguments: list[str]) -> bytes:
        """Output of ``git ls-remote``, after at most three redirects, each to an allowed address."""
        for hop in range(4):
            try:
                return self._git(
                    arguments,
                    max_output=self.policy.max_refs * 1000 + 1_000_000,
                    memory=_LIST_MEMORY,
                    meanwhile=None if hop else self.meanwhile,
                )
            except GitError as error:
                target = self._redirected(error) if hop < 3 else None
                if target is None:
                    raise self._failure(error) from error
                self._connect(target)
        raise AssertionError  # pragma: no cover - the last round returns or raises

    def _redirected(self, error: GitError) -> Source | None:
        return redirected(error, self.remote, self.policy, self.resolve, self.deadline)

    def _wanted(self, name: str) -> bool:
        if name.startswith(_NAMESPACES):
            return True
        kind = name.removeprefix(EXPERIMENTS).split("/", 1)[0]
        return self.policy.experiments and name.startswith(EXPERIMENTS) and kind not in PRIVATE_EXPERIMENTS

    def _local_refs(self, git_dir: Path) -> dict[str, str]:
        """Refs of the mirror; experiments that are not wanted any more are dropped."""
        names = [*_NAMESPACES, EXPERIMENTS]
        arguments = ["--git-dir", str(git_dir), "for-each-ref", "--format=%(objectname) %(refname)", *names]
        text = self._git(arguments, memory=None)
        lines = text.decode("utf-8", "surrogateescape").splitlines()
        refs = {name: value for value, _, name in (line.partition(" ") for line in lines)}
        for name in [] if self.policy.experiments else [name for name in refs if name.startswith(EXPERIMENTS)]:
            self._git(["--git-dir", str(git_dir), "update-ref", "-d", name])
            del refs[name]
        return refs

    def _git(
        self,
        arguments: list[str],
        *,
        git_dir: Path | None = None,
        max_output: int = 64 * 1024**2,
        memory: int | None = MEMORY,
        meanwhile: Callable[[], None] | None = None,
    ) -> bytes:
        return run_git(
            arguments,
            self.environment,
            deadline=self.deadline,
            what=self.source.url,
            max_output=max_output,
            max_file=self.policy.max_bytes,
            watch=(lambda: self._check_size(git_dir)) if git_dir else None,
            memory=memory,
            hide=self.credential.secrets() if self.credential else (),
            keep=(self.lock,),
            meanwhile=meanwhile,
        )

    def _check_size(self, git_dir: Path) -> None:
        if mirror_folder.size(git_dir / "objects") >= self.policy.max_bytes:
            raise too_large(self.source, self.policy)

    def _too_many_refs(self, count: int) -> LimitExceeded:
        return LimitExceeded(
            f"{self.source.url}: it has {count:,} branches, tags and experiments, more than the limit of "
            f"{self.policy.max_refs:,} (limit: max_refs); the operator can raise it."
        )

    def _failure(self, error: GitError) -> FetchFailed | LimitExceeded:
        return failure(error, self.source, self.policy)


def _object_format(refs: dict[str, str]) -> str:
    return "sha256" if any(len(value) == 64 for value in refs.values()) else "sha1"


def _digest(refs: dict[str, str], head: str) -> str:
    lines = [head, *(f"{refs[name]} {name}" for name in sorted(refs))]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _fallback_branch(refs: dict[str, str]) -> str:
    """The branch that stands for HEAD where the source does not say: main, master, or the only one."""
    for name in ("refs/heads/main", "refs/heads/master"):
        if name in refs:
            return name
    branches = sorted(name for name in refs if name.startswith("refs/heads/"))
    return branches[0] if len(branches) == 1 else ""
