#!/usr/bin/env python3
"""Rewrite the locks of exact versions: `python3 scripts/lock.py [--upgrade]`.

They come from requirements.in, requirements-dev.in and docker/ckan/requirements.in. Needs uv: `uv` on the path, or this
script run by a Python that has it (the portal's `.venv/bin/python`). The other locks take over the versions of the
portal's lock, so all environments agree.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.11"
OVERRIDES = 'psycopg2 ; python_version < "0"  # psycopg2-binary stands in for it\n'
BOOTSTRAP = "uv\n"


def uv() -> list[str]:
    """The command that runs uv.

    :raises SystemExit: there is none
    """
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if not found:
        sys.exit("lock.py needs uv: run it with the portal's own .venv/bin/python, or install uv")
    return [found]


def compile_lock(source: Path, lock: Path, work: Path, *options: str) -> None:
    """Resolve one list for every platform and write it with hashes, naming no index.

    :param source: list of requirements
    :param lock: file to rewrite; its versions are kept unless an option says otherwise
    :param work: folder for temporary files
    """
    overrides = work / "overrides.txt"
    overrides.write_text(OVERRIDES, encoding="utf-8")
    command = [*uv(), "pip", "compile", "--quiet", "--universal", "--python-version", PYTHON, "--generate-hashes"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-sources", "--allow-unsafe"]
    command += ["--custom-compile-command", "python3 scripts/lock.py", "--override", str(overrides)]
    # Only published files: a folder of local wheels would put hashes into the lock that nobody else can match.
    environment = {name: value for name, value in os.environ.items() if "FIND_LINKS" not in name}
    command += [*options, str(source), "--output-file", str(lock)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)


def main() -> None:
    """Rewrite the locks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that the lists allow")
    options = ["--upgrade"] if parser.parse_args().upgrade else []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        bootstrap = work / "bootstrap.in"
        bootstrap.write_text(BOOTSTRAP, encoding="utf-8")
        portal, development = ROOT / "requirements.lock", ROOT / "requirements-dev.lock"
        compile_lock(bootstrap, ROOT / "scripts/embedded/bootstrap.lock", work, *options)
        compile_lock(ROOT / "requirements.in", portal, work, *options)
        container = ROOT / "docker/ckan/requirements.in"
        for source, lock in ((ROOT / "requirements-dev.in", development), (container, container.with_suffix(".lock"))):
            compile_lock(source, lock, work, "--constraint", str(portal), *options)


if __name__ == "__main__":
    main()
