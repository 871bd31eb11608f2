"""Runs `ckan harvester run` again and again in one process: `python harvest_timer.py SECONDS` (`CKAN_INI` is set).

Starts due harvests, and finishes the jobs whose objects are all done. One process instead of a command from cron, for
loading CKAN takes seconds of processor time and this runs twice a minute.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from typing import Any

from ckan import model
from ckan.cli import load_config
from ckan.config.middleware import make_app
from ckanext.harvest import utils

log = logging.getLogger("ckanext.harvest.timer")


def main(seconds: float) -> None:
    """Run until the process is ended."""
    app: Any = make_app(load_config(os.environ["CKAN_INI"]))
    log.info("looking for due harvests every %g seconds", seconds)
    pause = threading.Event()
    while True:
        try:
            with app._wsgi_app.test_request_context():
                utils.run_harvester()
        except Exception:
            log.exception("harvester run failed; trying again in %g seconds", seconds)
        finally:
            model.Session.remove()
        pause.wait(seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]))
