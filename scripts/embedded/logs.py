"""Reading the services' logs."""

from __future__ import annotations

import time
from pathlib import Path

from embedded.errors import PortalError
from embedded.running import last_lines


def show_logs(folder: Path, service: str | None, lines: int, *, follow: bool) -> None:
    """Print the last lines of one log or of all, and go on with new ones until interrupted.

    :raises PortalError: there is no such log
    """
    files = sorted(folder.glob("*.log"))
    if service:
        files = [file for file in files if file.stem == service]
    if not files:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.log"))) or "none: the portal was never started"
        raise PortalError(f"There is no log of {service or 'any service'} in {folder}. There are: {known}.")
    for file in files:
        if len(files) > 1:
            print(f"==> {file.stem} <==")
        print(last_lines(file, lines))
    if follow:
        _follow(files)


def _follow(files: list[Path]) -> None:
    positions = {file: file.stat().st_size for file in files}
    try:
        while True:
            time.sleep(0.5)
            for file, position in positions.items():
                positions[file] = _print_new(file, position, named=len(files) > 1)
    except KeyboardInterrupt:
        pass


def _print_new(file: Path, position: int, *, named: bool) -> int:
    try:
        size = file.stat().st_size
        if size < position:  # rotated
            position = 0
        with file.open("rb") as log:
            log.seek(position)
            text = log.read()
    except OSError:  # between two files of a rotation
        return 0
    complete = text[: text.rfind(b"\n") + 1]
    for line in complete.decode("utf-8", "replace").splitlines():
        print(f"{file.stem}: {line}" if named else line, flush=True)
    return position + len(complete)
