"""How fast a whole DVC history is read, against DVC itself and against the obvious fast way.

    python benchmarks/read.py            200 stages x 100 tags, 5 % of the stages change per tag (DVC takes minutes)
    python benchmarks/read.py --small    40 x 15, for a quick look
    python benchmarks/read.py --scale    instead: 100,000 commits of 20 stages, and one pipeline of 10,000 stages

The last line is one JSON object of ratios (medians of several runs, but where another estimate is named; lower is
better but for ``vs_dvc``):

vs_dvc         time of ``dvc metrics show -T --json`` / ours for all facts of all tags
vs_floor       ours / (one ``git cat-file --batch`` of each distinct needed object + CSafeLoader on each distinct blob)
tags_doubled   ours with twice the tags on the same commits / ours; the quickest of alternating runs
incremental    second reading after one new commit, from the cache, of what is new / first reading with a cache
incremental_all  the same, all snapshots read again
memory         peak memory of 1,000 tags / of 100 tags (streamed)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from ckanext.mlops.core import Limits, Selection, read_repository
from ckanext.mlops.core.gitcommand import git_environment
from ckanext.mlops.core.tables import metrics_table

URL = "https://example.org/bench.git"
WANTED = ("dvc.yaml", "dvc.lock", "params.yaml", ".dvc/config")


def md5(*parts: object) -> str:
    """A hash of some text."""
    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


class Generated:
    """A pipeline of ``stages`` steps in one dvc.yaml; each commit gives a twentieth of them new content and a tag."""

    def __init__(self, folder: Path, stages: int) -> None:
        self.folder, self.stages, self.count = folder, stages, 0
        self.generation = [0] * stages
        self.before: dict[str, str] = {}
        subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)

    def git(self, *arguments: str, data: bytes | None = None) -> None:
        """Run Git in the work tree."""
        subprocess.run(["git", "-C", str(self.folder), *arguments], input=data, check=True, capture_output=True)

    def files(self) -> dict[str, str]:
        """The files of the present generation."""
        found = {".dvc/config": "[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://bucket/path\n"}
        pipeline, lock, params = ["stages:"], ["schema: '2.0'", "stages:"], []
        for number, generation in enumerate(self.generation):
            name, rate = f"s{number:04d}", round(0.01 + generation / 1000, 4)
            source = f"data/d{number - 1:04d}.csv" if number else "data/raw.csv"
            before = self.generation[number - 1] if number else 0
            metric = json.dumps({"acc": rate, "loss": {"train": 1.5, "val": 2.5}}) + "\n"
            found[f"metrics/{name}.json"], found[f"src/{name}.py"] = metric, f"print({number})\n"
            pipeline += [
                f"  {name}:", f"    cmd: python src/{name}.py", "    deps:", f"    - {source}", f"    - src/{name}.py",
                "    params:", f"    - {name}.lr", f"    - {name}.depth", "    outs:", f"    - data/d{number:04d}.csv",
                "    metrics:", f"    - metrics/{name}.json:", "        cache: false",
            ]  # fmt: skip
            lock += [
                f"  {name}:", f"    cmd: python src/{name}.py", "    deps:",
                f"    - path: {source}", "      hash: md5", f"      md5: {md5(number - 1, before)}", "      size: 1234",
                f"    - path: src/{name}.py", "      hash: md5", f"      md5: {md5('src', number)}", "      size: 9",
                "    params:", "      params.yaml:", f"        {name}.depth: 3", f"        {name}.lr: {rate}",
                "    outs:", f"    - path: data/d{number:04d}.csv", "      hash: md5",
                f"      md5: {md5(number, generation)}", "      size: 4321",
                f"    - path: metrics/{name}.json", "      hash: md5", f"      md5: {md5(metric)}", "      size: 60",
            ]  # fmt: skip
            params.append(f"{name}:\n  lr: {rate}\n  depth: 3\n")
        found["dvc.yaml"], found["dvc.lock"] = "\n".join(pipeline) + "\n", "\n".join(lock) + "\n"
        found["params.yaml"] = "".join(params)
        return found

    def grow(self, commits: int) -> None:
        """Add commits, each with a tag."""
        stream = bytearray()
        for number in range(commits):
            for step in range(max(1, self.stages // 20) if self.count else 0):
                self.generation[(self.count * 7 + step * 13) % self.stages] += 1
            stream += f"commit refs/heads/main\ncommitter A <a@b> {1_700_000_000 + self.count * 60} +0000\n".encode()
            stream += b"data 1\nx\n" + (b"from refs/heads/main^0\n" if self.count and number == 0 else b"")
            files = self.files()
            for path, text in files.items():
                if self.before.get(path) != text:
                    data = text.encode()
                    stream += f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n"
            stream += f"\nreset refs/tags/v{self.count:05d}\nfrom refs/heads/main\n\n".encode()
            self.before = files
            self.count += 1
        self.git("fast-import", "--quiet", "--force", data=bytes(stream))

    def lengthen(self, commits: int, every: int) -> None:
        """Add commits without tags: one of ``every`` changes a stage, the others a note."""
        stream = bytearray()
        before = self.before
        for number in range(commits):
            stream += f"commit refs/heads/main\ncommitter A <a@b> {1_700_000_000 + self.count * 60} +0000\n".encode()
            stream += b"data 1\nx\n" + (b"from refs/heads/main^0\n" if self.before and number == 0 else b"")
            changed = {"notes/today.txt": str(number % 10)}
            if number % every == 0:
                self.generation[number // every % self.stages] += 1
                changed |= self.files()
            for path, text in changed.items():
                if before.get(path) != text:
                    data = text.encode()
                    stream += f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n"
            before = {**before, **changed}
            self.count += 1
        self.git("fast-import", "--quiet", "--force", data=bytes(stream))

    def pack(self) -> None:
        """Check out and pack, as DVC expects to find it."""
        self.git("checkout", "-q", "-f", "main")
        self.git("gc", "-q")


def seconds(run: Callable[[], object], runs: int) -> float:
    """Median wall time."""
    found = []
    for _ in range(runs):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def ours(folder: Path, cache: Path | None = None, known: Any = ()) -> int:
    """Read all facts; how many stage records."""
    reading = read_repository(folder, url=URL, cache=cache, limits=Limits(dvc_bytes=64_000_000)).without(known)
    return sum(len(snapshot.stages) for snapshot in reading)


def floor(folder: Path) -> int:
    """Every distinct needed blob once through PyYAML's C loader or json."""
    environment = git_environment()

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", f"--git-dir={folder}/.git", *arguments], env=environment, check=True, capture_output=True, text=True
        ).stdout

    needed: dict[str, str] = {}
    for ref in git("for-each-ref", "--format=%(objectname)").split():
        for line in git("ls-tree", "-r", ref).splitlines():
            entry, path = line.split("\t")
            if path in WANTED or path.startswith("metrics/"):
                needed[entry.split()[2]] = path
    process = subprocess.Popen(
        ["git", f"--git-dir={folder}/.git", "cat-file", "--batch", "--buffer"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    output, _ = process.communicate(("\n".join(needed) + "\n").encode())
    at = 0
    for path in needed.values():
        end = output.index(b"\n", at)
        size = int(output[at:end].split()[2])
        data = output[end + 1 : end + 1 + size]
        at = end + 2 + size
        if path.endswith(".json"):
            json.loads(data)
        elif path != ".dvc/config":
            yaml.load(data, yaml.CSafeLoader)
    return len(needed)


def dvc_metrics(folder: Path) -> tuple[float, dict[str, Any]]:
    """Wall time and answer of DVC's command."""
    command = [str(Path(sys.executable).with_name("dvc")), "metrics", "show", "-T", "--json"]
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, check=True, capture_output=True, env={**os.environ, "DVC_NO_ANALYTICS": "1"}
    )
    return time.perf_counter() - start, json.loads(done.stdout)


def peak(folder: Path) -> int:
    """Peak memory in kB of a process that reads everything."""
    command = [sys.executable, __file__, "--peak-of", str(folder)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def scale(top: Path) -> dict[str, Any]:
    """A very long history, and a very wide pipeline."""
    result: dict[str, Any] = {}
    long = Generated(top / "long", 20)
    long.lengthen(100_000, 10)
    wide = Generated(top / "wide", 10_000)
    wide.grow(3)
    for name, folder, selection in (
        ("commits_100000", long.folder, Selection(commits="all")),
        ("stages_10000", wide.folder, Selection()),
    ):
        start, used = time.perf_counter(), time.process_time()
        reading = read_repository(folder, url=URL, selection=selection)
        records = sum(len(snapshot.stages) for snapshot in reading)
        elapsed, used = time.perf_counter() - start, time.process_time() - used
        print(
            f"{name}: {len(reading.revisions)} revisions, {len(reading)} trees, "
            f"{records} stage records in {elapsed:.1f} s, {used:.1f} s of them computing"
        )
        result[name], result[f"{name}_cpu"] = round(elapsed, 2), round(used, 2)
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="40 stages x 15 tags")
    parser.add_argument("--scale", action="store_true", help="100,000 commits, and 10,000 stages")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-dvc", action="store_true", help="leave out DVC, which takes minutes")
    parser.add_argument("--peak-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak_of:
        ours(arguments.peak_of)
        # Not ru_maxrss: a child inherits the peak of the process that started it.
        status = Path("/proc/self/status").read_text()
        print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
        return
    if arguments.scale:
        with tempfile.TemporaryDirectory() as top:
            print(json.dumps(scale(Path(top))))
        return
    stages, tags = (40, 15) if arguments.small else (200, 100)
    result: dict[str, Any] = {"stages": stages, "tags": tags}
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "repo"
        repository = Generated(folder, stages)
        repository.grow(tags)
        repository.pack()
        first = seconds(lambda: ours(folder), arguments.runs)
        print(f"ours {first:.3f} s, {ours(folder)} stage records", flush=True)
        base = seconds(lambda: floor(folder), 1 if not arguments.small else 3)
        print(f"floor {base:.3f} s", flush=True)
        result["vs_floor"] = round(first / base, 3)
        if not arguments.no_dvc:
            elapsed, theirs = dvc_metrics(folder)
            mine = metrics_table(read_repository(folder, url=URL))
            by_name = {name: entry for names, entry in mine.items() for name in names.split(",")}
            assert all(
                entry == by_name[name.split(",")[-1]] for name, entry in theirs.items() if name != "workspace"
            ), "values differ from DVC's"
            print(f"dvc metrics show -T {elapsed:.1f} s, the same values", flush=True)
            result["vs_dvc"] = round(elapsed / first, 1)
        cold, new, everything = [], [], []
        for number in range(2 * arguments.runs):  # by turns: other work on the machine then meets all alike
            cache = Path(top) / f"cache{number}"
            cold.append(seconds(partial(ours, folder, cache), 1))
            known = {revision.tree for revision in read_repository(folder, url=URL).revisions}
            repository.grow(1)
            new.append(seconds(partial(ours, folder, cache, known), 1))
            everything.append(seconds(partial(ours, folder, cache), 1))
        print(
            f"first with a cache {statistics.median(cold):.3f} s, what is new {statistics.median(new):.4f} s",
            flush=True,
        )
        result["incremental"] = round(statistics.median(new) / statistics.median(cold), 4)
        result["incremental_all"] = round(statistics.median(everything) / statistics.median(cold), 3)
        # The same commits with twice the tags, by turns, the quickest of each: other work only ever adds to a time.
        twice = Path(top) / "twice"
        subprocess.run(["git", "clone", "-q", "--mirror", str(folder), str(twice / ".git")], check=True)
        again_tags = "create refs/tags/again/%(refname:strip=2) %(objectname)"
        lines = subprocess.run(
            ["git", "-C", str(folder), "for-each-ref", f"--format={again_tags}", "refs/tags"],
            check=True, capture_output=True,
        ).stdout  # fmt: skip
        subprocess.run(["git", f"--git-dir={twice / '.git'}", "update-ref", "--stdin"], input=lines, check=True)
        less, more = [], []
        for _ in range(2 * arguments.runs):
            less.append(seconds(partial(ours, folder), 1))
            more.append(seconds(partial(ours, twice), 1))
        result["tags_doubled"] = round(min(more) / min(less), 3)
        many = Generated(Path(top) / "many", stages)
        many.grow(tags)
        few_peak = peak(many.folder)
        many.grow(9 * tags)
        result["memory"] = round(peak(many.folder) / few_peak, 2)
    result["python"], result["machine"] = platform.python_version(), f"{os.cpu_count()} cores"
    result["git"] = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    print(json.dumps(result))


if __name__ == "__main__":
    main()
