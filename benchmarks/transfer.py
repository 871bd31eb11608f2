#!/usr/bin/env python3
"""Uploads and downloads, measured: `python3 benchmarks/transfer.py` (`--small` for a quick look).

- **upload_vs_ckanapi**: 1,000 small datasets (title, notes, two tags, one linked resource), registered by `ckanapi load
  datasets -p 2` and by `ckan-mlops upload -p 2` from the same JSON lines: seconds of ckanapi by seconds of ours.
- **download_vs_nginx**: a file of 1 GiB in a DVC remote, through the portal (gunicorn, authorization, audit) and from
  nginx on the same file (Python's web server where there is no nginx), alternately; throughput of the portal by that of
  nginx, medians.
- **memory_growth**: growth of the web processes during those downloads, in MiB; **parallel_failed**: of 50 downloads at
  once (16 MiB each, hashes checked) how many failed.

It starts a portal of its own (PostgreSQL, Redis, Solr, CKAN) and stops it. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from ckanext.mlops.client import Portal  # noqa: E402
from ckanext.mlops.client.hashing import Md5  # noqa: E402
from embedded.ports import free_port  # noqa: E402

MIB = 1024 * 1024
BIN = Path(sys.executable).parent


@contextmanager
def portal(home: Path) -> Iterator[Portal]:
    """An embedded portal, as its sysadmin."""
    script = [sys.executable, str(ROOT / "scripts/portal.py")]
    port = free_port()
    environment = {**os.environ, "MLOPS_VENV": sys.prefix}
    subprocess.run([*script, "up", "--detach", "--home", str(home), "--port", str(port)], env=environment, check=True)
    try:
        token = json.loads((home / "credentials.json").read_text())["api_token"]
        yield Portal(f"http://127.0.0.1:{port}", token)
    finally:
        subprocess.run([*script, "reset", "--yes", "--home", str(home)], env=environment, check=False)


def datasets(path: Path, prefix: str, count: int) -> None:
    """JSON lines of datasets, as ckanapi and the client read them."""
    with path.open("w") as lines:
        for number in range(count):
            record = {
                "name": f"{prefix}-{number}",
                "title": f"Measured {number}",
                "notes": "Values of a station, an hour each.",
                "owner_org": "bench",
                "tags": [{"name": "wind"}, {"name": f"station {number % 50}"}],
                "resources": [{"name": "values.csv", "url": f"https://example.org/{number}.csv", "format": "CSV"}],
            }
            lines.write(json.dumps(record) + "\n")


def uploads(one: Portal, folder: Path, token: str, count: int, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of ckanapi and of the client, by round."""
    theirs, ours = [], []
    for number in range(rounds):
        for name, seconds in (("theirs", theirs), ("ours", ours)):
            prefix = f"{name}-{number}-{os.getpid()}"
            table = folder / f"{prefix}.jsonl"
            datasets(table, prefix, count)
            if name == "theirs":
                command = [str(BIN / "ckanapi"), "load", "datasets", "-I", str(table), "-p", "2", "-q"]
                command += ["-r", one.url, "-a", token]
            else:
                command = [str(BIN / "ckan-mlops"), "upload", str(table), "-p", "2", "-q", "-r", one.url, "-a", token]
            begin = time.monotonic()
            # ckanapi starts its workers by their name.
            path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "PATH": path})
            seconds.append(time.monotonic() - begin)
            found = one.action("package_search", fq=f"name:{prefix}*", rows=0)["count"]
            assert found == count, f"{name}: {found} of {count} datasets are there"
            print(f"upload, {name}: {count} datasets in {seconds[-1]:.1f} s", flush=True)
    return theirs, ours


def stored(home: Path, sizes: dict[str, int]) -> tuple[Path, dict[str, str]]:
    """A repository with files that DVC tracks, and their objects in its remote; name → MD5."""
    remote, work = home / "demo/dvc-remote", home / "demo/bench"
    hashes: dict[str, str] = {}
    (work / ".dvc").mkdir(parents=True)
    (work / ".dvc/config").write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {remote}\n")
    block = os.urandom(MIB)
    for name, size in sizes.items():
        md5, part = Md5(), remote / "part"
        remote.mkdir(exist_ok=True)
        with part.open("wb") as stream:
            for number in range(size // MIB):
                data = number.to_bytes(8, "big") + block[8:]
                md5.update(data)
                stream.write(data)
        digest = hashes[name] = md5.hexdigest()
        target = remote / f"files/md5/{digest[:2]}/{digest[2:]}"
        target.parent.mkdir(parents=True)
        part.rename(target)
        entry = f"- md5: {digest}\n  size: {size}\n  hash: md5\n  path: {name}\n"
        (work / f"{name}.dvc").write_text(f"outs:\n{entry}")
    git = ["git", "-C", str(work), "-c", "user.name=bench", "-c", "user.email=bench@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "data"]):
        subprocess.run([*git, *command], check=True)
    return work, hashes


def harvest(one: Portal, work: Path) -> dict[str, str]:
    """Harvest the repository through the queue; file → download address."""
    source = one.action(
        "harvest_source_create", name="bench", title="Bench", url=work.as_uri(), source_type="dvc", owner_org="bench"
    )
    one.action("harvest_job_create", source_id=source["id"], run=True)
    for _ in range(600):
        found = one.action("package_search", fq="organization:bench dvc_stage:*.dvc", include_private=True)["results"]
        if len(found) >= 2:
            break
        time.sleep(1)
    addresses = {}
    for package in found:
        (file,) = one.action("mlops_file_list", id=package["id"])["files"]
        addresses[file["path"]] = file["address"]
    return addresses


@contextmanager
def reference(folder: Path) -> Iterator[tuple[str, str]]:
    """(name, address) of another server of the folder."""
    port, nginx = free_port(), shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    with tempfile.TemporaryDirectory(dir="/tmp") as work:
        if nginx:
            config = Path(work) / "nginx.conf"
            user = "user root;" if os.geteuid() == 0 else ""
            config.write_text(
                f"{user} worker_processes 2; pid {work}/pid; error_log {work}/error; events {{}}\n"
                f"http {{ access_log off; sendfile on; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
            )
            command = [nginx, "-c", str(config), "-p", work, "-g", "daemon off;"]
        else:
            command = [sys.executable, "-m", "http.server", str(port), "-b", "127.0.0.1", "-d", str(folder)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            yield ("nginx" if nginx else "http.server"), f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


def take(url: str, token: str = "", digest: str = "") -> tuple[float, int]:
    """Seconds and bytes of one download; with ``digest`` its hash is checked."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=300)
    begin = time.monotonic()
    connection.request("GET", f"{parts.path}?{parts.query}", headers={"Authorization": token} if token else {})
    response = connection.getresponse()
    assert response.status == 200, (response.status, response.read(500))
    buffer, size, md5 = bytearray(MIB), 0, Md5()
    while count := response.readinto(buffer):
        size += count
        if digest:
            md5.update(memoryview(buffer)[:count])
    seconds = time.monotonic() - begin
    connection.close()
    assert not digest or md5.hexdigest() == digest
    return seconds, size


def web_memory(home: Path) -> int:
    """Bytes of all web processes of the portal that are their own."""
    total = 0
    for process in psutil.process_iter(["cmdline"]):
        try:
            if "gunicorn" in " ".join(process.info["cmdline"] or ()) and str(home) in str(process.environ()):
                total += process.memory_full_info().uss
        except psutil.Error:
            continue
    return total


def main() -> None:
    """Measure, and print the ratios."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--small", action="store_true", help="100 datasets, 128 MiB, one round")
    small = arguments.parse_args().small
    count, big, rounds = (100, 128 * MIB, 1) if small else (1000, 1024 * MIB, 3)
    with tempfile.TemporaryDirectory(prefix="mlops-transfer-") as folder, portal(Path(folder) / "portal") as one:
        home = Path(folder) / "portal"
        token = str(one.headers["Authorization"])
        one.action("organization_create", name="bench", title="Bench")
        work, hashes = stored(home, {"big.bin": big, "part.bin": 16 * MIB})
        addresses = {name: one.url + address for name, address in harvest(one, work).items()}
        digest = hashes["big.bin"]
        with reference(home / "demo/dvc-remote") as (server, base):
            plain = f"{base}/files/md5/{digest[:2]}/{digest[2:]}"
            take(addresses["big.bin"], token, digest)
            take(plain, "", digest)
            before, ours, theirs = web_memory(home), [], []
            for _ in range(rounds * 2 + 1):
                for url, key, rates in ((addresses["big.bin"], token, ours), (plain, "", theirs)):
                    seconds, size = take(url, key)
                    rates.append(size / seconds / MIB)
            growth = (web_memory(home) - before) / MIB
        print(f"download of {big // MIB} MiB: portal {statistics.median(ours):.0f} MiB/s, {server} "
              f"{statistics.median(theirs):.0f} MiB/s; web processes grew by {growth:.1f} MiB", flush=True)  # fmt: skip

        def parallel(_: int) -> bool:
            try:
                take(addresses["part.bin"], token, hashes["part.bin"])
            except (AssertionError, OSError, http.client.HTTPException) as error:
                print(f"a parallel download failed: {error}", flush=True)
                return False
            return True

        with ThreadPoolExecutor(50) as pool:
            failed = list(pool.map(parallel, range(50))).count(False)
        print(f"50 downloads at once: {failed} failed", flush=True)
        slow, fast = uploads(one, Path(folder), token, count, rounds)
    theirs_seconds, ours_seconds = statistics.median(slow), statistics.median(fast)
    print(f"upload of {count} datasets: ckanapi {theirs_seconds:.1f} s, ckan-mlops {ours_seconds:.1f} s")
    print(
        json.dumps(
            {
                "upload_vs_ckanapi": round(theirs_seconds / ours_seconds, 2),
                "download_vs_nginx": round(statistics.median(ours) / statistics.median(theirs), 2),
                "memory_growth": round(growth, 1),
                "parallel_failed": failed,
            }
        )
    )


if __name__ == "__main__":
    main()
