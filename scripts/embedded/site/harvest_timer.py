"""Runs `ckan harvester run` again and again in one process: `python harvest_timer.py SECONDS` (`CKAN_INI` is set).

Starts due harvests, finishes the jobs whose objects are all done, and gives MLflow servers that are due to the job
workers. One process instead of commands from cron, for loading CKAN takes seconds of processor time and this runs twice
a minute.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from ckan import model
from ckan.cli import load_config
from ckan.config.middleware import make_app
from ckanext.harvest import utils

from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.tracking import schedule as mlflow_schedule

log = logging.getLogger("ckanext.harvest.timer")

STEPS: dict[str, Callable[[], Any]] = {
    "harvester run": utils.run_harvester,
    "MLflow schedule": lambda: mlflow_schedule.enqueue_due(model.Session(), utc_now()),
}


def main(seconds: float) -> None:
    """Run until the process is ended."""
    app: Any = make_app(load_config(os.environ["CKAN_INI"]))
    log.info("looking for due harvests and MLflow servers every %g seconds", seconds)
    pause = threading.Event()
    while True:
        for name, step in STEPS.items():
            try:
                with app._wsgi_app.test_request_context():
                    step()
            except Exception:
                log.exception("%s failed; trying again in %g seconds", name, seconds)
            finally:
                model.Session.remove()
        pause.wait(seconds)


if __name__ == "__main__":
    main(float(sys.argv[1]))
