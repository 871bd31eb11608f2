"""gunicorn's settings; the address and numbers come from its command line or environment."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

wsgi_app = "wsgi:application"
chdir = str(Path(__file__).parent)
bind = os.environ.get("MLOPS_BIND", "127.0.0.1:5000")
workers = int(os.environ.get("MLOPS_WORKERS", "2"))
# Threads: browsers open connections ahead of need, and an idle one must not hold a whole process.
worker_class = "gthread"
threads = int(os.environ.get("MLOPS_THREADS", "4"))
# Loaded once, then forked: half the start, and shared memory.
preload_app = True
timeout = 120
graceful_timeout = 20
keepalive = 5
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a heartbeat file, unlinked at once
accesslog = None
errorlog = "-"
forwarded_allow_ips = os.environ.get("MLOPS_PROXIES", "127.0.0.1")


def when_ready(_server: Any) -> None:
    """What was loaded is there for good: the garbage collector need not visit it, a tenth of a second each time."""
    gc.collect()
    gc.freeze()


def post_fork(_server: Any, _worker: Any) -> None:
    """Connections made before the fork belong to the parent."""
    from ckan import model

    if model.meta.engine is not None:
        model.meta.engine.dispose(close=False)
