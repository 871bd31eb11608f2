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
import shlex
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .address import Credential, Policy, Resolve, Source, check_address, within
from .errors import AddressRefused, FetchFailed, LimitExceeded
from .gitcommand import GitError, git_environment, run_git
from .naming import repository_name, slug

__all__ = ["Credential", "Mirror", "Policy", "git_environment", "open_repository", "update_mirror"]

_STATE = "mlops.json"
_NAMESPACES = ("refs/heads/", "refs/tags/")
_EXPERIMENTS = "refs/exps/"
_PRIVATE_EXPERIMENTS = ("exec", "stash", "apply", "celery", "temp")
_NO_BRANCH = "refs/heads/.none"
_MAX_ENTRIES = 500_000
_MAX_PACKS = 30
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


def open_repository(address: str, *, folder: Path, policy: Policy, credential: Credential | None = None) -> Path:
    """The Git directory in which ``address`` (URL, folder, bare folder or bundle) can be read, brought up to date.

    >>> git_dir = open_repository(".", folder=Path("mirrors"), policy=Policy(roots=(Path("/"),)))  # doctest: +SKIP
    """
    return update_mirror(address, folder, policy=policy, credential=credential).git_dir


def update_mirror(
    url: str,
    folder: Path,
    *,
    policy: Policy,
    credential: Credential | None = None,
    resolve: Resolve = socket.getaddrinfo,
) -> Mirror:
    """Clone ``url`` below ``folder``, or fetch what changed since the last time.

    Two processes never work on one mirror at once; the second waits. A call that is killed at any point leaves either
    the earlier mirror or none. When no ref moved, nothing is fetched.

    :param folder: where mirrors are kept; created when missing, readable by its owner only
    :raises AddressRefused: the policy does not allow the address
    :raises FetchFailed: network, access, time, or a source that is not a sound repository
    :raises LimitExceeded: too many bytes or refs; the transfer is stopped when the limit is met
    """
    source = check_address(url, policy, resolve)
    deadline = time.monotonic() + policy.timeout
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = f"{slug(repository_name(source.url), 40)}-{hashlib.sha256(source.url.encode()).hexdigest()[:16]}"
    with _locked(folder / f"{key}.lock", deadline, source) as lock:
        job = _Job(source, policy, credential, folder.resolve(), key, deadline, lock)
        return job.run()


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
        folder: Path,
        key: str,
        deadline: float,
        lock: int,
    ) -> None:
        self.source = source
        self.policy = policy
        self.credential = credential
        self.git_dir = folder / f"{key}.git"
        self.staging = folder / f"{key}.new"
        self.settings = folder / "gitconfig"
        self.deadline = deadline
        self.lock = lock
        self.blob_limit = policy.blob_limit if source.transport != "bundle" else ""
        self.environment = git_environment(
            self._network_config(), protocols=[_protocol(source)], global_config=str(self.settings)
        )
        if source.transport == "ssh":
            self.environment |= {"GIT_SSH_COMMAND": self._ssh(), "GIT_SSH_VARIANT": "ssh"}

    def run(self) -> Mirror:
        """Bring the mirror up to date."""
        # `upload-pack` of a local repository gets no GIT_CONFIG_COUNT from Git, only this file.
        _write(self.settings, "[safe]\n\tdirectory = *\n[uploadpack]\n\tallowFilter = true\n")
        _remove(self.staging)
        if self.source.transport in ("file", "bundle"):
            self._check_local()
        refs, head = self._advertised()
        state = self._state()
        if state is None or state["blob_limit"] != self.blob_limit or state["format"] != _object_format(refs):
            return self._clone(refs, head, state)
        shallow = _is_shallow(self.git_dir)
        if state["digest"] == _digest(refs, head) and not shallow:
            return self._mirror(state, changed=False)
        _sweep(self.git_dir)
        try:
            new = self._fetch(self.git_dir, head, _object_format(refs))
        except GitError as error:
            if not _BROKEN.search(error.text):
                raise self._failure(error) from error
            return self._clone(refs, head, state)
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
            _remove(self.staging)
            raise self._failure(error) from error
        except BaseException:
            _remove(self.staging)
            raise
        _remove(self.git_dir)
        self.staging.rename(self.git_dir)
        return self._mirror(state, changed=before is None or before["digest"] != state["digest"])

    def _fetch(self, git_dir: Path, head: str, object_format: str) -> dict[str, Any]:
        _write(git_dir / "config", _repository_config(object_format))
        arguments = ["fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-auto-maintenance"]
        arguments += [
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--no-show-forced-updates",
            "--update-shallow",
        ]
        if _is_shallow(git_dir):
            arguments.append("--unshallow")
        if self.blob_limit:
            arguments.append(f"--filter=blob:limit={self.blob_limit}")
        # The remote's URL and refspecs are in the environment: no argument comes from the address.
        self._git(["--git-dir", str(git_dir), *arguments, "--", "origin"], git_dir=git_dir)
        self._check_size(git_dir)
        if not self.policy.experiments:
            self._drop_experiments(git_dir)
        self._git(["--git-dir", str(git_dir), "pack-refs", "--all"])
        refs = self._local_refs(git_dir)
        if len(refs) > self.policy.max_refs:
            raise self._too_many_refs(len(refs))
        branch = head if head in refs else _fallback_branch(refs)
        self._git(["--git-dir", str(git_dir), "symbolic-ref", "HEAD", branch or _NO_BRANCH])
        if len(list((git_dir / "objects" / "pack").glob("*.pack"))) > _MAX_PACKS:
            self._git(["--git-dir", str(git_dir), "gc", "--quiet", "--no-detach"], git_dir=git_dir)
        # Fetching registers the filter; without it a file that was left out reads as missing and asks nobody.
        _write(git_dir / "config", _repository_config(object_format))
        state = {
            "version": 1,
            "url": self.source.url,
            "default_branch": branch.removeprefix("refs/heads/"),
            "digest": _digest(refs, branch),
            "blob_limit": self.blob_limit,
            "format": object_format,
        }
        _write(git_dir / _STATE, json.dumps(state))
        return state

    def _mirror(self, state: dict[str, Any], *, changed: bool) -> Mirror:
        return Mirror(
            git_dir=self.git_dir,
            url=self.source.url,
            default_branch=state["default_branch"],
            changed=changed,
            digest=state["digest"],
            partial=bool(state["blob_limit"]),
            shallow=_is_shallow(self.git_dir),
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
            patterns.append(_EXPERIMENTS + "*")
        try:
            text = self._git(
                ["ls-remote", "--quiet", "--symref", "--", "origin", *patterns],
                max_output=self.policy.max_refs * 2000 + 1_000_000,
            )
        except GitError as error:
            raise self._failure(error) from error
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
        if symbolic in refs:
            return refs, symbolic
        same = {name: value for name, value in refs.items() if value == detached and name.startswith("refs/heads/")}
        return refs, _fallback_branch(same) or _fallback_branch(refs)

    def _wanted(self, name: str) -> bool:
        if name.startswith(_NAMESPACES):
            return True
        kind = name.removeprefix(_EXPERIMENTS).split("/", 1)[0]
        return self.policy.experiments and name.startswith(_EXPERIMENTS) and kind not in _PRIVATE_EXPERIMENTS

    def _local_refs(self, git_dir: Path) -> dict[str, str]:
        names = [*_NAMESPACES, _EXPERIMENTS] if self.policy.experiments else list(_NAMESPACES)
        text = self._git(["--git-dir", str(git_dir), "for-each-ref", "--format=%(objectname) %(refname)", *names])
        lines = text.decode("utf-8", "surrogateescape").splitlines()
        return {name: value for value, _, name in (line.partition(" ") for line in lines)}

    def _drop_experiments(self, git_dir: Path) -> None:
        listed = self._git(["--git-dir", str(git_dir), "for-each-ref", "--format=%(refname)", _EXPERIMENTS])
        for name in listed.decode("utf-8", "surrogateescape").splitlines():
            self._git(["--git-dir", str(git_dir), "update-ref", "-d", name])

    def _network_config(self) -> list[tuple[str, str]]:
        policy, source = self.policy, self.source
        config = [
            ("remote.origin.url", source.location),
            ("remote.origin.fetch", "+refs/heads/*:refs/heads/*"),
            ("remote.origin.fetch", "+refs/tags/*:refs/tags/*"),
            ("fetch.unpackLimit", "1"),
            ("fetch.fsckObjects", "true"),
            *((f"fetch.fsck.{check}", "ignore") for check in _HARMLESS),
            ("pack.threads", "2"),
        ]
        if policy.experiments:
            config.append(("remote.origin.fetch", f"+{_EXPERIMENTS}*:{_EXPERIMENTS}*"))
            config += [("remote.origin.fetch", f"^{_EXPERIMENTS}{name}/*") for name in _PRIVATE_EXPERIMENTS]
        if self.blob_limit:
            config += [
                ("remote.origin.promisor", "true"),
                ("remote.origin.partialclonefilter", f"blob:limit={self.blob_limit}"),
            ]
        if source.transport in ("https", "http"):
            config += [
                ("http.followRedirects", "false"),
                ("http.proxy", policy.proxy),
                ("http.emptyAuth", "false"),
                ("http.lowSpeedLimit", "500"),
                ("http.lowSpeedTime", "30"),
                ("http.postBuffer", str(1024**2)),
            ]
            if source.addresses and not policy.proxy:
                pinned = ",".join(f"[{item}]" if ":" in item else item for item in source.addresses)
                config.append(("http.curloptResolve", f"{source.host}:{source.port}:{pinned}"))
            if policy.ca_file:
                config.append(("http.sslCAInfo", str(policy.ca_file)))
            header = self.credential.http_header() if self.credential else ""
            if header:
                config.append(("http.extraHeader", f"Authorization: {header}"))
        return config

    def _ssh(self) -> str:
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "PermitLocalCommand": "no",
            "ProxyCommand": "none",
            "ClearAllForwardings": "yes",
            "ForwardAgent": "no",
            "ConnectTimeout": "20",
            "ServerAliveInterval": "15",
        }
        if self.source.addresses:
            options |= {"HostName": self.source.addresses[0], "HostKeyAlias": self.source.host}
        words = ["ssh", "-F", "/dev/null"]
        if self.credential and self.credential.known_hosts:
            options["UserKnownHostsFile"] = str(self.credential.known_hosts)
        if self.credential and self.credential.ssh_key:
            words += ["-i", str(self.credential.ssh_key)]
        words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return shlex.join(words)

    def _git(self, arguments: list[str], *, git_dir: Path | None = None, max_output: int = 64 * 1024**2) -> bytes:
        return run_git(
            arguments,
            self.environment,
            deadline=self.deadline,
            what=self.source.url,
            max_output=max_output,
            max_file=self.policy.max_bytes,
            watch=(lambda: self._check_size(git_dir)) if git_dir else None,
            keep=(self.lock,),
        )

    def _check_size(self, git_dir: Path) -> None:
        # A temporary pack is deleted by Git between the listing and the look at it: then it counts no more.
        if _size(git_dir / "objects") >= self.policy.max_bytes:
            raise LimitExceeded(
                f"{self.source.url}: the repository is larger than {self.policy.max_bytes:,} bytes; "
                f"the operator can raise the limit, or its large files can move to DVC."
            )

    def _check_local(self) -> None:
        """Refuse a folder whose Git data is elsewhere: links, alternates and ``gitdir:`` files could lead anywhere."""
        path, roots = Path(self.source.location), self.policy.roots
        if self.source.transport == "bundle":
            if path.stat().st_size > self.policy.max_bytes:
                raise LimitExceeded(
                    f"{self.source.url}: the bundle is larger than {self.policy.max_bytes:,} bytes; "
                    f"the operator can raise the limit."
                )
            return
        dot_git = path / ".git"
        if dot_git.is_file():
            pointer = dot_git.read_bytes()[:4096].decode("utf-8", "replace").strip()
            dot_git = (path / pointer.removeprefix("gitdir:").strip()).resolve()
        elif not dot_git.exists():
            dot_git = path
        outside = AddressRefused(
            f"{self.source.url}: its Git data is not wholly below the operator's configured folders "
            f"(a link, an alternate or a worktree leads outside); give the address of the repository itself."
        )
        for entry in _git_stores(dot_git):
            if not within(entry, roots):
                raise outside

    def _too_many_refs(self, count: int) -> LimitExceeded:
        return LimitExceeded(
            f"{self.source.url}: it has {count:,} branches, tags and experiments, more than the limit of "
            f"{self.policy.max_refs:,}; the operator can raise it."
        )

    def _failure(self, error: GitError) -> FetchFailed | LimitExceeded:
        text = error.text
        for secret in self.credential.secrets() if self.credential else ():
            text = text.replace(secret, "***")
        if error.code in (-25, 128 + 25) or "File size limit exceeded" in text:
            return LimitExceeded(
                f"{self.source.url}: the repository is larger than {self.policy.max_bytes:,} bytes; "
                f"the operator can raise the limit."
            )
        for pattern, remedy in _REMEDIES:
            if re.search(pattern, text, re.IGNORECASE):
                return FetchFailed(f"{self.source.url}: {remedy} (Git: {text[-300:]})")
        return FetchFailed(f"{self.source.url}: Git could not read it: {text[-500:] or f'exit code {error.code}'}")


# What old and foreign tools got wrong in real histories, and no reader of ours minds.
_HARMLESS = (
    *("badDate", "badDateOverflow", "badTimezone", "zeroPaddedDate", "badEmail", "badName", "badTagName"),
    *("missingEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate", "missingSpaceBeforeEmail"),
    *("missingTaggerEntry", "zeroPaddedFilemode", "badFilemode", "gitignoreSymlink", "gitattributesSymlink"),
    *("gitmodulesMissing", "gitmodulesBlob", "gitmodulesLarge", "gitmodulesName", "gitmodulesParse"),
    *("gitmodulesPath", "gitmodulesSymlink", "gitmodulesUpdate", "gitmodulesUrl", "mailmapSymlink"),
    *("gitattributesLarge", "gitattributesLineLength", "gitattributesMissing", "gitattributesBlob"),
)

_REMEDIES = (
    (r"returned error: 30\d|unable to update url base|redirect", "it answers with a redirect; give the final address"),
    (
        r"Authentication failed|could not read (Username|Password)|returned error: 40[13]|Permission denied|publickey",
        "access was denied; it is private or does not exist: name a credential that may read it",
    ),
    (
        r"returned error: 404|repository .* not found|does not appear to be a git repo|not a git repository",
        "there is no repository at this address; check the spelling",
    ),
    (r"Host key verification failed", "its ssh host key is not known; add it to the credential's known_hosts file"),
    (r"SSL certificate|server certificate|certificate verif", "its TLS certificate is not trusted; see ca_file"),
    (r"lacks these prerequisite", "the bundle holds only part of a history; make it with 'git bundle create X --all'"),
    (r"transport '.*' not allowed", "it needs a transport that is not allowed"),
    (r"unsupported (hash|object.format)|mismatched algorithms", "its hash algorithm is not supported by this Git"),
    (
        r"timed out|Connection refused|Could not resolve|Failed to connect|too slow|No route|reset by peer|: 5\d\d",
        "the server did not answer; try again later",
    ),
    (
        r"fsck|bad object|missing (blob|tree|commit)|did not send|corrupt|early EOF|unable to read|pack|hung up",
        "objects of it are damaged or missing; run 'git fsck' there",
    ),
)


def _protocol(source: Source) -> str:
    return "file" if source.transport in ("file", "bundle") else source.transport


def _repository_config(object_format: str) -> str:
    if object_format == "sha256":
        return "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
    return "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"


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


def _is_shallow(git_dir: Path) -> bool:
    shallow = git_dir / "shallow"
    return shallow.is_file() and shallow.stat().st_size > 0


def _sweep(git_dir: Path) -> None:
    """Remove what a killed Git left; nobody else works here while the lock is held."""
    for pattern in ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/tmp_*"):
        for path in git_dir.glob(pattern):
            path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _write(path: Path, text: str) -> None:
    """Replace the file in one step, unless it holds the text already."""
    with contextlib.suppress(OSError):
        if path.read_text() == text:
            return
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    beside.write_text(text)
    beside.replace(path)


def _size(folder: Path) -> int:
    """Bytes of all files below ``folder``, those that vanish meanwhile left out."""
    total, pending = 0, [folder]
    while pending:
        with contextlib.suppress(FileNotFoundError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _git_stores(git_dir: Path) -> Iterator[Path]:
    """Every place that Git would read for ``git_dir``: the folder, links in it, its common folder, alternates.

    :raises LimitExceeded: there are absurdly many files
    """
    pending, seen, entries = [git_dir], set(), 0
    while pending:
        folder = pending.pop().resolve()
        yield folder
        if folder in seen:
            continue
        seen.add(folder)
        with contextlib.suppress(OSError), os.scandir(folder) as listing:
            for entry in listing:
                entries += 1
                if entries > _MAX_ENTRIES:
                    raise LimitExceeded(
                        f"{git_dir.name}: its Git folder has over {_MAX_ENTRIES:,} files; run 'git gc'."
                    )
                path = Path(entry.path)
                if entry.is_symlink():
                    yield path.resolve()
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                elif entry.name == "commondir" or entry.path.endswith("objects/info/alternates"):
                    base = folder if entry.name == "commondir" else folder.parent
                    lines = path.read_bytes()[: 1 << 16].decode("utf-8", "replace").splitlines()
                    pending.extend(base / line.strip() for line in lines if line.strip() and line[0] != "#")
