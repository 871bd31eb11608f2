"""A CKAN that a benchmark asks through one process that has it loaded, in lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


def write_ini(folder: Path, backing: Any, **values: Any) -> Path:
    """Settings of a CKAN below ``folder`` with the plugins of the embedded portal, and its tables.

    :param backing: the running services
    :param values: further values of :class:`embedded.site.ini.IniValues`
    """
    from embedded.site.ini import IniValues, render

    settings = IniValues(
        site_url="http://localhost:5000",
        secret_key="only-for-a-benchmark-only-for-a-benchmark",  # noqa: S106
        database_url=backing.database("ckan"),
        solr_url=backing.solr_url,
        redis_url=backing.redis_url,
        storage_path=str(folder / "storage"),
        repository_mirrors=str(folder / "mirrors"),
        **values,
    )
    ini = folder / "ckan.ini"
    ini.write_text(render(settings).replace("level = INFO", "level = ERROR"))
    # In a process of its own: one that migrated tables has no pool of connections any more, unlike a web process.
    subprocess.run([str(BIN / "ckan"), "-c", str(ini), "db", "upgrade"], check=True, capture_output=True)
    return ini


class Asked:
    """The process; ``script --inside INI`` makes it serve an :class:`Inside`."""

    def __init__(self, script: str, ini: Path) -> None:
        self.ini = ini
        command = [sys.executable, script, "--inside", str(ini)]
        self.inside = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **question: Any) -> Any:
        """The answer of :class:`Inside`."""
        assert self.inside.stdin is not None
        assert self.inside.stdout is not None
        self.inside.stdin.write(json.dumps(question) + "\n")
        self.inside.stdin.flush()
        for line in self.inside.stdout:
            if line.startswith("answer "):
                return json.loads(line[7:])
        raise RuntimeError("the process inside of CKAN ended")


class Inside:
    """What the process does: a method ``do_NAME`` for each question."""

    def __init__(self, ini: str) -> None:
        from ckan.cli import load_config
        from ckan.config.middleware import make_app

        self.app: Any = make_app(load_config(ini))

    def serve(self) -> None:
        """Answer questions, a JSON object a line."""
        for line in sys.stdin:
            question = json.loads(line)
            with self.app._wsgi_app.test_request_context():
                answer = getattr(self, "do_" + question.pop("do"))(**question)
            print("answer " + json.dumps(answer), flush=True)

    def context(self) -> Any:
        """For actions, as the site's own user."""
        from ckan import model
        from ckan.plugins import toolkit as tk

        user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
        return {"user": user, "ignore_auth": True, "session": model.Session, "model": model}
