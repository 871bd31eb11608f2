"""An MLflow tracking server: PostgreSQL behind it, artifacts through it into one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from embedded import checks
from embedded.service import Service


@dataclass(frozen=True)
class MlflowServer:
    """A server in one folder. :ivar database: address of its database, with credentials"""

    folder: Path
    port: int
    database: str
    python: Path
    host: str = "127.0.0.1"
    workers: int = 1

    @property
    def url(self) -> str:
        """Where people and clients find it."""
        return f"http://{self.host}:{self.port}"

    def service(self) -> Service:
        """The server's process."""
        command = [str(self.python), "-m", "mlflow", "server", "--host", self.host, "--port", str(self.port)]
        command += ["--workers", str(self.workers), "--serve-artifacts"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        return Service(
            name="mlflow",
            title="MLflow",
            command=tuple(command),
            folder=self.folder,
            # In the environment: a command line can be read by every user of the machine.
            environment={
                "MLFLOW_BACKEND_STORE_URI": self.database,
                "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                "DO_NOT_TRACK": "true",
            },
            address=self.url,
            listens=(self.host, self.port),
            prepare=lambda: (self.folder / "artifacts").mkdir(parents=True, exist_ok=True),
            check=lambda: checks.http(f"{self.url}/health"),
        )
