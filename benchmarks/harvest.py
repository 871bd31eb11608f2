"""How fast a repository comes into the catalog, what a second harvest costs, and how both grow.

    python benchmarks/harvest.py            1,000 stages, growth up to 10,000 (about 20 minutes on two cores)
    python benchmarks/harvest.py --small    100 stages, for a quick look

A portal without web server is started: PostgreSQL, Solr, Redis, ckanext-harvest's own consumers, all on this machine
and its cores. A first harvest that does not count comes before all others: while Solr's Java still compiles, a dataset
costs it three times as much as later. A harvest is timed from the creation of the job until its last dataset is written
and found by a search.
The last line is one JSON object of ratios (see docs/operator.md):

vs_ckanapi   datasets per second of a first harvest with two fetch consumers / of ``ckanapi load datasets -p 2`` with
             the package dicts that the harvest wrote, in the same portal, without HTTP, without the time that it takes
             to start. Of several runs taken in turns, the medians.
unchanged    a second harvest when nothing changed / the first
one_changed  a harvest after a commit that changes one stage / the first
two_workers  time of a first harvest with one fetch consumer / with two
two_cores    the same of processes that do nothing but count, in the same run: what two workers could reach if Solr and
             PostgreSQL cost nothing
growth       time per dataset at the largest size / at 100 (first harvest, two consumers)
gather_mib   most memory of the gather consumer at the largest size, in MiB; fetch_mib that of a fetch consumer. A
             consumer that has read nothing yet holds CKAN itself, see ``idle_mib``
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from inside import BIN, Asked, Inside, write_ini

ROOT = Path(__file__).resolve().parents[1]

sys.path.insert(0, str(ROOT / "scripts"))

GROWTH = (100, 1_000, 10_000)
# Of harvests after a first one. They take less than a second each, in which a busy machine may do something else.
REPEATED = 7


class Project:
    """A Git repository of ``stages`` steps in pipelines of a hundred; every step has two outputs and reads one."""

    def __init__(self, folder: Path, stages: int) -> None:
        self.folder, self.stages = folder, stages
        self.generation = [0] * stages
        self.before: dict[str, str] = {}
        self.commits = 0
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)

    def commit(self) -> None:
        """Write what differs from the last commit."""
        files = self._files()
        parent = b"from refs/heads/main^0\n" if self.commits else b""
        head = f"commit refs/heads/main\ncommitter A <a@b> {1_700_000_000 + self.commits * 60} +0000\ndata 1\nx\n"
        stream = bytearray(head.encode() + parent)
        for path, text in files.items():
            if self.before.get(path) != text:
                data = text.encode()
                stream += f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n"
        command = ["git", f"--git-dir={self.folder}", "fast-import", "--quiet", "--force"]
        subprocess.run(command, input=bytes(stream), check=True)
        self.before, self.commits = files, self.commits + 1

    def _files(self) -> dict[str, str]:
        found = {
            ".dvc/config": "[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://bucket/path\n",
            "README.md": "# Benchmark\n\nA project that was made to be harvested.\n",
        }
        for start in range(0, self.stages, 100):
            group = f"part{start // 100:03d}"
            pipeline, lock = ["stages:"], ["schema: '2.0'", "stages:"]
            for number in range(start, min(start + 100, self.stages)):
                name, generation = f"s{number:05d}", self.generation[number]
                source = f"d{number - 1:05d}.csv" if number > start else "raw.csv"
                before = self.generation[number - 1] if number > start else 0
                metric = json.dumps({"accuracy": round(0.5 + generation / 1000, 4)}) + "\n"
                found[f"{group}/{name}.json"] = metric
                pipeline += [
                    f"  {name}:", f"    desc: Step {number} of the benchmark.", f"    cmd: python step.py {name}",
                    "    deps:", f"    - {source}", "    outs:", f"    - d{number:05d}.csv", "    metrics:",
                    f"    - {name}.json:", "        cache: false",
                ]  # fmt: skip
                lock += [
                    f"  {name}:", f"    cmd: python step.py {name}", "    deps:", f"    - path: {source}",
                    "      hash: md5", f"      md5: {_md5(number - 1, before)}", "      size: 1234", "    outs:",
                    f"    - path: d{number:05d}.csv", "      hash: md5", f"      md5: {_md5(number, generation)}",
                    "      size: 4321", f"    - path: {name}.json", "      hash: md5", f"      md5: {_md5(metric)}",
                    "      size: 20",
                ]  # fmt: skip
            found[f"{group}/dvc.yaml"] = "\n".join(pipeline) + "\n"
            found[f"{group}/dvc.lock"] = "\n".join(lock) + "\n"
        return found


def _md5(*parts: object) -> str:
    import hashlib

    return hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()


class Portal(Asked):
    """A CKAN whose consumers and loads are started beside the process that is asked."""

    def __init__(self, ini: Path) -> None:
        super().__init__(__file__, ini)
        #: Most memory of the consumers that ended last, gather first, in MiB.
        self.memory: list[int] = []

    @contextmanager
    def consumers(self, fetch: int) -> Iterator[None]:
        """ckanext-harvest's consumers: one for gather, ``fetch`` for the rest; warm, as after a day's work."""
        commands = ["gather-consumer"] + ["fetch-consumer"] * fetch
        started = [
            subprocess.Popen(
                [str(BIN / "ckan"), "-c", str(self.ini), "harvester", command],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for command in commands
        ]
        try:
            yield
        finally:
            self.memory = [_most_memory(process.pid) for process in started]
            for process in started:
                process.terminate()
            for process in started:
                process.wait()

    def load(self, packages: Path, count: int) -> float:
        """Datasets per second of ``ckanapi load datasets -p 2``, from the first one's end to the last one's."""
        log = packages.with_suffix(".log")
        log.unlink(missing_ok=True)
        command = [str(BIN / "ckanapi"), "load", "datasets", "-c", str(self.ini), "-I", str(packages), "-p", "2"]
        environment = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
        done = subprocess.run([*command, "-l", str(log)], env=environment, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"ckanapi failed: {done.stderr[-2000:]}")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        import datetime

        times = sorted(datetime.datetime.fromisoformat(line[0].removesuffix("Z")) for line in lines)
        made = sum("create" in str(line) and "error" not in str(line).lower() for line in lines)
        if made < count:
            raise RuntimeError(f"ckanapi made {made} of {count} datasets: {lines[0]}")
        return (len(times) - 2) / (times[-1] - times[1]).total_seconds()


def _most_memory(pid: int) -> int:
    """Of a process, in MiB; 0 where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM")), 0)


class Harvests(Inside):
    """What the process with CKAN loaded can do."""

    def do_prepare(self) -> None:
        """An organization."""
        from ckan.plugins import toolkit as tk

        tk.get_action("organization_create")(self.context(), {"name": "lab", "title": "Lab"})

    def do_reset(self) -> None:
        """No dataset, no source, no job."""
        import sqlalchemy as sa
        from ckan import model
        from ckan.lib import redis, search

        model.Session.execute(
            sa.text(
                "TRUNCATE package, activity, harvest_source, mlops_version, mlops_edge CASCADE; "
                "DELETE FROM member WHERE table_name = 'package'"
            )
        )
        model.Session.commit()
        model.Session.remove()
        search.clear_all()
        redis.connect_to_redis().flushdb()
        with model.meta.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE"))

    def do_source(self, name: str, url: str) -> str:
        """A harvest source; its id."""
        from ckan.plugins import toolkit as tk

        data = {"name": name, "title": name, "url": url, "source_type": "dvc", "owner_org": "lab", "config": ""}
        return str(tk.get_action("harvest_source_create")(self.context(), data)["id"])

    def do_harvest(self, source: str) -> dict[str, Any]:
        """Harvest and wait: seconds, and what was done."""
        import sqlalchemy as sa
        from ckan import model
        from ckan.plugins import toolkit as tk
        from ckanext.harvest.model import HarvestJob, HarvestObject

        began = time.perf_counter()
        job = tk.get_action("harvest_job_create")(self.context(), {"source_id": source, "run": True})
        job_id = job["id"]
        open_ones = sa.select(sa.func.count()).where(
            HarvestObject.harvest_job_id == job_id, HarvestObject.state.not_in(("COMPLETE", "ERROR"))
        )
        gathered = 0.0
        with model.meta.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while True:
                finished = connection.scalar(sa.select(HarvestJob.gather_finished).where(HarvestJob.id == job_id))
                if finished and not gathered:
                    gathered = time.perf_counter() - began
                if finished and not connection.scalar(open_ones):
                    break
                # Counting the objects of a long harvest often would be a load of its own.
                time.sleep(0.005 if not gathered or time.perf_counter() - began < 1 else 0.25)
        model.Session.remove()
        made = model.Session.scalar(sa.text("SELECT count(*) FROM package WHERE type = 'dataset'"))
        found = -1
        while found != made:
            found = tk.get_action("package_search")({"ignore_auth": True}, {"fq": "dataset_type:dataset", "rows": 0})[
                "count"
            ]
        seconds = time.perf_counter() - began
        tk.get_action("harvest_jobs_run")(self.context(), {"source_id": source})
        states = model.Session.execute(
            sa.select(HarvestObject.report_status, sa.func.count())
            .where(HarvestObject.harvest_job_id == job_id)
            .group_by(HarvestObject.report_status)
        ).all()
        model.Session.remove()
        return {"seconds": seconds, "gather": gathered, "datasets": made, "done": {str(k): v for k, v in states}}

    def do_packages(self, path: str) -> int:
        """Write the package dicts that the harvest wrote; how many."""
        import sqlalchemy as sa
        from ckan import model
        from ckanext.harvest.model import HarvestObject

        from ckanext.mlops.harvesting import apply, memory

        with Path(path).open("w") as file:
            rows = model.Session.scalars(sa.select(HarvestObject.content).where(HarvestObject.current)).all()
            for content in rows:
                file.write(json.dumps(apply._filled(memory.dataset_of(content).package)) + "\n")
        model.Session.remove()
        return len(rows)


@contextmanager
def portal(folder: Path) -> Iterator[Portal]:
    """A portal below ``folder``, with the plugins of the embedded one."""
    from embedded.services import backing_services

    with backing_services(folder / "services", report=print) as backing, ExitStack() as stack:
        ini = write_ini(folder, backing, mlflow_url="http://localhost:1", repository_roots=str(folder))
        started = Portal(ini)
        stack.callback(started.inside.kill)
        started.ask(do="prepare")
        yield started


def first(one: Portal, folder: Path, stages: int, warm: Project) -> tuple[float, Project, str]:
    """A first harvest in an otherwise nearly empty portal, by whatever consumers run: seconds, project, source."""
    one.ask(do="reset")
    # What every consumer has to load once, for new datasets and for changed ones, harvests that do not count load.
    beside = one.ask(do="source", name="warm", url=str(warm.folder))
    one.ask(do="harvest", source=beside)
    warm.generation = [each + 1 for each in warm.generation]
    warm.commit()
    one.ask(do="harvest", source=beside)
    project = Project(Path(tempfile.mkdtemp(dir=folder)) / f"stages{stages}", stages)
    project.commit()
    source = one.ask(do="source", name="bench", url=str(project.folder))
    answer = one.ask(do="harvest", source=source)
    if answer["done"].get("added") != stages:
        raise RuntimeError(f"not every stage became a dataset: {answer}")
    rate = stages / answer["seconds"]
    print(f"  {stages:>6,} stages: {answer['seconds']:.1f} s ({answer['gather']:.1f} s gather), {rate:.1f} a second")
    return answer["seconds"], project, source


def _two_cores() -> float:
    """How much more two processes do than one, in the time of one."""
    command = [sys.executable, "-c", "for number in range(30_000_000): pass"]

    def seconds(processes: int) -> float:
        began = time.perf_counter()
        for started in [subprocess.Popen(command) for _ in range(processes)]:
            started.wait()
        return time.perf_counter() - began

    return statistics.median(2 * seconds(1) / seconds(2) for _ in range(3))


def main() -> None:
    """Measure, print, and end with one JSON object."""
    if sys.argv[1:2] == ["--inside"]:
        Harvests(sys.argv[2]).serve()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a quick look: 100 stages, growth to 300")
    parser.add_argument("--runs", type=int, default=0, help="of vs_ckanapi and two_workers (default 3; 1 when small)")
    parser.add_argument("--stages", type=int, default=1_000, help="of the repository (default 1,000)")
    parser.add_argument("--largest", type=int, default=GROWTH[-1], help="size to grow to (default 10,000)")
    options = parser.parse_args()
    stages = 100 if options.small else options.stages
    runs = options.runs or (1 if options.small else 3)
    sizes = (100, 300) if options.small else tuple(size for size in GROWTH if size <= options.largest)
    with tempfile.TemporaryDirectory(prefix="mlops-harvest-") as name:
        folder = Path(name).resolve()
        warm = Project(folder / "warm", 60)  # enough for two batches, one for each consumer
        warm.commit()
        with portal(folder) as one:
            print(json.dumps(_measured(one, folder, warm, stages, runs, sizes)))


def _measured(
    one: Portal, folder: Path, warm: Project, stages: int, runs: int, sizes: tuple[int, ...]
) -> dict[str, float]:
    print(f"{os.cpu_count()} cores for consumers, PostgreSQL and Solr together; {runs} runs of {stages:,} stages")
    two, single, loaded, unchanged, changed = [], [], [], [], []
    packages = folder / "packages.jsonl"
    cores = _two_cores()
    with one.consumers(2):
        print("does not count")
        first(one, folder, stages, warm)
    for _ in range(runs):
        with one.consumers(2):
            print("two fetch consumers")
            seconds, project, source = first(one, folder, stages, warm)
            two.append(seconds)
            unchanged += [one.ask(do="harvest", source=source)["seconds"] / seconds for _ in range(REPEATED)]
            for number in range(REPEATED):
                project.generation[(7 * number) % stages] += 1
                project.commit()
                answer = one.ask(do="harvest", source=source)
                if sum(answer["done"].values()) not in (1, 2):  # the stage, and the one that reads it
                    raise RuntimeError(f"one stage changed: {answer}")
                changed.append(answer["seconds"] / seconds)
            last = [statistics.median(each[-REPEATED:]) for each in (unchanged, changed)]
            print(f"  unchanged {last[0]:.2%}, one changed {last[1]:.2%} of the first")
            one.ask(do="packages", path=str(packages))
        with one.consumers(1):
            print("one fetch consumer")
            single.append(first(one, folder, stages, warm)[0])
        one.ask(do="reset")
        loaded.append(one.load(packages, stages))
        print(f"ckanapi load datasets -p 2: {loaded[-1]:.1f} a second")
    with one.consumers(1):
        first(one, folder, 1, warm)
    idle = max(one.memory)
    each: dict[int, float] = {}
    with one.consumers(2):
        print("growth, two fetch consumers")
        for size in sizes:
            found = [first(one, folder, size, warm)[0] for _ in range(3 if size <= 300 else 1)]
            each[size] = statistics.median(found) / size
    median = statistics.median
    return {
        "vs_ckanapi": round(stages / median(two) / median(loaded), 2),
        "unchanged": round(median(unchanged), 4),
        "one_changed": round(median(changed), 4),
        "two_workers": round(median(single) / median(two), 2),
        "two_cores": round(cores, 2),
        "growth": round(each[sizes[-1]] / each[100], 2),
        "stages": stages,
        "datasets_per_second": round(stages / median(two), 1),
        "gather_mib": one.memory[0],
        "fetch_mib": max(one.memory[1:]),
        "idle_mib": idle,
    }


if __name__ == "__main__":
    main()
