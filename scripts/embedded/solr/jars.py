"""Fetches exactly the jars that jars.txt names, and believes none whose hash differs.

jars.txt holds `group:artifact[:classifier]:version sha256`, as Maven mediates solr-core 9.10.1 with jetty-server,
jetty-servlet and jetty-xml 10.0.26. Each is fetched without its dependencies: another mediation than Maven's picks
versions with which Solr does not start. The cache is the local Maven repository of this machine (`M2_REPO`, else
`~/.m2/repository`), which all checkouts share.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from embedded.bootstrap import require_space
from embedded.errors import ServiceError

LIST = Path(__file__).with_name("jars.txt")
THREADS = 8
Progress = Callable[[str], None]  # told "12 of 129 jars" now and then
SPACE = 300 << 20  # bytes: the cache and the copy, 70 MB each, and room


@dataclass(frozen=True)
class Jar:
    """One artifact. :ivar classifier: may be empty"""

    group: str
    artifact: str
    classifier: str
    version: str
    sha256: str

    @property
    def name(self) -> str:
        """File name."""
        return f"{self.artifact}-{self.version}{'-' if self.classifier else ''}{self.classifier}.jar"


def listed(path: Path = LIST) -> Iterator[Jar]:
    """The artifacts of a list."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            coordinates, sha256 = line.split()
            group, artifact, *classifier, version = coordinates.split(":")
            yield Jar(group, artifact, "".join(classifier), version, sha256)


def fetch(folder: Path, report: Progress | None = None) -> None:
    """Make the folder hold the listed jars and no other file.

    :raises ServiceError: a jar cannot be had, or is not the one that was listed
    """
    stamp, wanted = folder / ".list", hashlib.sha256(LIST.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return
    require_space(folder, SPACE, "Solr")
    folder.mkdir(parents=True, exist_ok=True)
    wants = list(listed())
    for file in folder.iterdir():
        if file.name not in {jar.name for jar in wants}:
            file.unlink()
    with ThreadPoolExecutor(THREADS) as pool:
        for done, _ in enumerate(pool.map(partial(_fetch_one, folder), wants), 1):
            if report and (done % 10 == 0 or done == len(wants)):
                report(f"{done} of {len(wants)} jars")
    stamp.write_text(wanted, encoding="utf-8")


def _fetch_one(folder: Path, jar: Jar) -> None:
    target = folder / jar.name
    if target.exists() and _sha256(target) == jar.sha256:
        return
    cached = _resolve(jar)
    if _sha256(cached) != jar.sha256:  # a download that was cut off stays in the cache
        cached.unlink()
        cached = _resolve(jar)
        if (found := _sha256(cached)) != jar.sha256:
            raise ServiceError(
                f"{jar.group}:{jar.artifact}:{jar.version} is not the file that was listed: sha256 {found} instead of "
                f"{jar.sha256}. Something between here and the registry changes files; delete {cached} and try again."
            )
    new = target.with_suffix(".new")
    new.unlink(missing_ok=True)
    try:
        os.link(cached, new)
    except OSError:  # another file system
        shutil.copyfile(cached, new)
    new.replace(target)


def _resolve(jar: Jar) -> Path:
    from jgo import MavenContext  # slow to import, and needed once

    artifact = MavenContext(timeout=60).project(jar.group, jar.artifact).at_version(jar.version)
    try:
        return Path(artifact.artifact(classifier=jar.classifier).resolve())
    except Exception as error:  # jgo raises RuntimeError, AssertionError and what requests raises
        raise ServiceError(
            f"Solr's {jar.name} cannot be fetched: {error}. The Maven registry is unreachable from here, or denies it: "
            "check the network and the proxy, then run the same command again (what is fetched is kept)."
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
