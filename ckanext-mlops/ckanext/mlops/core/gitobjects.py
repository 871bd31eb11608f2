"""Objects and references of a bare repository, through one ``git cat-file`` process.

Only object reading happens here: no checkout, no hook, no filter, no network (see :mod:`.gitcommand`). A missing,
corrupt or oversized object is an answer, never an exception.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple

from .errors import FetchFailed, LimitExceeded, RepositoryError
from .gitcommand import MEMORY, GitError, git_environment, run_git
from .limits import DEFAULTS, Limits

Kind = Literal["commit", "tree", "blob", "tag", "missing", "corrupt", "large"]
# Requests and answers both fit the pipes' buffers, so neither side can wait for the other.
_WINDOW = 256
_BRANCHES = "refs/heads"
_TAGS = 10  # tags of tags that are followed


@dataclass(frozen=True, slots=True)
class GitObject:
    """An object as Git stores it; ``data`` is empty for the kinds ``missing``, ``corrupt`` and ``large``."""

    oid: str
    kind: Kind
    size: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit object says: ``date`` is the committer's, ISO 8601 in UTC, ``""`` when it has none."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: str
    date: str
    message: str


class Ref(NamedTuple):
    """A reference and the object that it names, not peeled."""

    name: str
    oid: str


class GitObjects:
    """Reader of one repository's objects; use it as a context manager.

    :param git_dir: a bare repository or a ``.git`` folder that nobody else can change meanwhile
    :raises RepositoryError: it is not a Git repository, or reading it would lead outside of it
    """

    def __init__(self, git_dir: Path, limits: Limits = DEFAULTS) -> None:
        self.git_dir = _git_folder(Path(git_dir))
        self.limits = limits
        self._environment = git_environment()
        self._process: subprocess.Popen[bytes] | None = None
        self._deadline = time.monotonic() + limits.seconds if limits.seconds else float("inf")
        self._local: set[str] | None = None
        self._head: str | None = None
        self.partial = any(self.git_dir.glob("objects/pack/*.promisor"))

    def __enter__(self) -> GitObjects:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the Git process."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(OSError):
                self._process.communicate()
            self._process = None

    def refs(self, prefixes: Sequence[str], meanwhile: Callable[[], None] | None = None) -> list[Ref]:
        """References below ``prefixes`` (``refs/heads``), in Git's order; objects are not looked at.

        :param meanwhile: done while Git lists them
        """
        arguments = ["for-each-ref", "--format=%(HEAD)%(objectname) %(refname)", *prefixes]
        lines = self.run(arguments, memory=None, meanwhile=meanwhile).decode("utf-8", "replace").split("\n")
        if _BRANCHES in prefixes:
            named = [line.partition(" ")[2] for line in lines if line.startswith("*")]
            self._head = next((name for name in named if name.startswith("refs/heads/")), "")
        return [Ref(name, oid) for oid, _, name in [line[1:].partition(" ") for line in lines] if name]

    def head(self) -> str:
        """The branch that HEAD names (``refs/heads/main``); ``""`` when it names a commit, or none that exists."""
        if self._head is None:
            self.refs([_BRANCHES])
        return self._head or ""

    def commits(self, oids: Iterable[str]) -> Iterator[tuple[str, Commit | None, str]]:
        """``(oid asked for, its commit or None, message of the tag on the way)``, tags peeled, in the order asked."""
        asked = list(dict.fromkeys(oids))
        found: dict[str, GitObject] = {}
        messages: dict[str, str] = {}
        target = {oid: oid for oid in asked}
        todo = set(asked)
        for _ in range(_TAGS):
            for item in self.read(sorted(todo), self.limits.value_bytes):
                found[item.oid] = item
            todo = set()
            for oid in asked:
                known = found.get(target[oid])
                for _ in range(_TAGS):  # a tag can name a tag that was read already
                    if known is None or known.kind != "tag":
                        break
                    messages.setdefault(oid, _message(known.data))
                    target[oid] = _header(known.data).get("object", [""])[0]
                    known = found.get(target[oid])
                    if known is None:
                        todo.add(target[oid])
            if not todo:
                break
        for oid in asked:
            item = found.get(target[oid]) or GitObject(oid, "missing", 0)
            yield oid, parse_commit(item) if item.kind == "commit" else None, messages.get(oid, "")

    def history(self, tips: Sequence[str], count: int | None = None) -> list[str]:
        """Commits reachable from ``tips``, newest first; at most ``count`` of them.

        :raises LimitExceeded: there are more than the limit allows
        """
        if not tips:
            return []
        most = self.limits.commits + 1 if count is None else min(count, self.limits.commits + 1)
        try:
            lines = self._rev_list(tips, most)
        except GitError:
            lines = self._walk(tips, most)
        if len(lines) > self.limits.commits:
            raise LimitExceeded(
                f"more than {self.limits.commits} commits (limit: commits); read branches and tags only, or a range"
            )
        return lines

    def _rev_list(self, tips: Sequence[str], most: int) -> list[str]:
        found: dict[str, None] = {}
        # Argument lists are bounded by the system; reading tips from standard input is not open to run_git.
        for start in range(0, len(tips), 500):
            arguments = ["rev-list", "--date-order", f"--max-count={most}", *tips[start : start + 500], "--"]
            found.update(dict.fromkeys(self.run(arguments).decode("ascii").split()))
        return list(found)[:most]

    def _walk(self, tips: Sequence[str], most: int) -> list[str]:
        """Like ``rev-list`` for a history with missing or corrupt commits, which makes Git give up."""
        seen: dict[str, None] = {}
        todo = list(dict.fromkeys(tips))
        while todo and len(seen) < most:
            parents: dict[str, None] = {}
            for oid, commit, _ in self.commits(todo):
                if commit is not None and commit.oid not in seen:
                    seen[commit.oid] = None
                    parents.update(dict.fromkeys(commit.parents))
                del oid
            todo = [oid for oid in parents if oid not in seen]
        return list(seen)[:most]

    def run(
        self, arguments: Sequence[str], memory: int | None = MEMORY, meanwhile: Callable[[], None] | None = None
    ) -> bytes:
        """Output of a reading Git command.

        :param memory: None when it needs no bound: this is quicker, since no other programs start it
        :param meanwhile: done while Git works
        """
        deadline = min(self._deadline, time.monotonic() + 600)
        try:
            return run_git(
                [f"--git-dir={self.git_dir}", *arguments],
                self._environment,
                deadline=deadline,
                what=self.git_dir.name,
                max_output=256_000_000,
                memory=memory,
                meanwhile=meanwhile,
            )
        except FetchFailed:
            self._check_time()
            raise

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise LimitExceeded(f"reading took more than {self.limits.seconds:g} seconds (limit: seconds)")

    def read(self, oids: Iterable[str], max_bytes: int) -> Iterator[GitObject]:
        """The objects, in the order asked; those above ``max_bytes`` are of kind ``large`` and not read.

        :raises LimitExceeded: the time for this repository is over
        """
        asked = [oid for oid in oids if _OID.fullmatch(oid)]
        for start in range(0, len(asked), _WINDOW):
            yield from self._window(asked[start : start + _WINDOW], max_bytes)

    def sizes(self, oids: Iterable[str]) -> Iterator[GitObject]:
        """Kind and size of the objects, without their data."""
        yield from self.read(oids, -1)

    def _window(self, oids: Sequence[str], max_bytes: int) -> Iterator[GitObject]:
        self._check_time()
        here = [oid for oid in oids if oid in self.local] if self.partial else oids
        try:
            facts = dict(self._ask("info", here))
            wanted = [oid for oid in here if facts[oid].size <= max_bytes and facts[oid].kind != "missing"]
            facts.update(self._ask("contents", wanted))
        except _Died:
            if len(here) > 1:
                for oid in oids:
                    yield from self._window([oid], max_bytes)
                return
            facts = {oid: GitObject(oid, "corrupt", 0) for oid in here}
        for oid in oids:
            item = facts.get(oid) or GitObject(oid, "missing", 0)
            if item.size > max_bytes >= 0:
                item = GitObject(oid, "large", item.size)
            yield item

    @property
    def local(self) -> set[str]:
        """All objects that are here: Git exits when asked for one that a partial clone left on the server."""
        if self._local is None:
            arguments = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname)", "--unordered"]
            self._local = set(self.run(arguments).decode("ascii").split())
        return self._local

    def _ask(self, command: str, oids: Sequence[str]) -> Iterator[tuple[str, GitObject]]:
        if not oids:
            return
        process = self.start()
        stdin: Any = process.stdin
        stdout: Any = process.stdout
        try:
            stdin.write((f"{command} " + f"\n{command} ".join(oids) + "\nflush\n").encode("ascii"))
            stdin.flush()
            for oid in oids:
                head = stdout.readline().split()
                if len(head) != 3:
                    if len(head) == 2 and head[1] == b"missing":
                        yield oid, GitObject(oid, "missing", 0)
                        continue
                    raise _Died
                size = int(head[2])
                data = b""
                if command == "contents":
                    data = stdout.read(size)
                    if len(data) != size or stdout.read(1) != b"\n":
                        raise _Died
                yield oid, GitObject(oid, head[1].decode("ascii"), size, data)
        except (OSError, ValueError):
            self.close()
            raise _Died from None
        except _Died:
            self.close()
            raise

    def start(self) -> subprocess.Popen[bytes]:
        """The process that answers; asking starts it, starting it earlier lets it get ready meanwhile."""
        if self._process is None:
            command = ["git", f"--git-dir={self.git_dir}", "cat-file", "--batch-command", "--buffer"]
            try:
                self._process = subprocess.Popen(
                    command,
                    env=self._environment,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=1 << 18,
                    cwd="/",
                )
            except FileNotFoundError as error:
                raise FetchFailed("The program git is not installed on this machine; install it.") from error
        return self._process


class _Died(Exception):
    """The Git process ended while it answered: the object asked for is corrupt."""


_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def _git_folder(path: Path) -> Path:
    """``path`` itself when bare, else its ``.git``; refuses what would make Git read elsewhere."""
    folder = path / ".git" if (path / ".git").is_dir() else path
    if not (folder / "objects").is_dir() or not (folder / "HEAD").exists():
        raise RepositoryError(f"{path.name}: not a Git repository (no objects folder in it)")
    if (folder / "objects/info/alternates").exists():
        raise RepositoryError(f"{path.name}: borrows objects from another folder; clone it with --dissociate")
    config = folder / "config"
    if config.is_symlink() or (config.exists() and not config.is_file()):
        raise RepositoryError(f"{path.name}: its config is not a plain file; clone it first")
    if config.exists():
        with config.open("rb") as stream:
            text = stream.read(100_001)
        if len(text) > 100_000 or re.search(rb"(?im)^\s*\[\s*include", text):
            raise RepositoryError(f"{path.name}: its config includes other files; clone it first")
    return folder.absolute()


def _header(data: bytes) -> dict[str, list[str]]:
    result: dict[str, list[str]] = {}
    for line in data.partition(b"\n\n")[0].split(b"\n"):
        key, _, value = line.partition(b" ")
        if key:
            result.setdefault(key.decode("latin-1"), []).append(value.decode("utf-8", "replace"))
    return result


def _message(data: bytes) -> str:
    text = data.partition(b"\n\n")[2].decode("utf-8", "replace")
    return text.partition("-----BEGIN ")[0].strip()


_PERSON = re.compile(r"(?P<name>.*?)\s*<[^>]*>?\s*(?P<time>-?\d{1,12})?(?:\s+(?P<zone>[-+]\d{4}))?\s*$")


def parse_commit(item: GitObject) -> Commit:
    """The commit in an object of that kind; whatever is missing or malformed is empty."""
    head = _header(item.data)
    author = _PERSON.match(head.get("author", [""])[0])
    committer = _PERSON.match(head.get("committer", [""])[0])
    return Commit(
        oid=item.oid,
        tree=head.get("tree", [""])[0],
        parents=tuple(head.get("parent", ())),
        author=author["name"] if author else "",
        date=_date(committer["time"] if committer else None),
        message=_message(item.data),
    )


def _date(seconds: str | None) -> str:
    if seconds is None:
        return ""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""
