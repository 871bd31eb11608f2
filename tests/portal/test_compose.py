"""docker-compose.yml is valid and runs what the embedded portal runs, with the same options."""

from __future__ import annotations

import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from embedded.config import Config
from embedded.portal_services import SITE, services
from embedded.secret_files import Secrets
from embedded.settings import Settings
from embedded.site import ini

ROOT = Path(__file__).resolve().parents[2]
CKAN_SERVICES = {"ckan", "worker", "gather", "fetch", "timer"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return found


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, ...]]:
    settings = Settings(tmp_path_factory.mktemp("portal"), Config(), Secrets())
    return {service.name: service.command for service in services(settings)}


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    schemas = importlib.resources.files("check_jsonschema") / "builtin_schemas/vendor"
    schema = json.loads((schemas / "compose-spec.json").read_text())

    jsonschema.validate(compose, schema)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**compose, "service": {}}, schema)


def test_it_has_the_services_of_the_embedded_portal(compose: dict[str, Any], embedded: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*embedded, "prepare"}


@pytest.mark.parametrize("name", ["worker", "gather", "fetch"])
def test_workers_run_the_same_ckan_commands_and_can_be_scaled(
    compose: dict[str, Any], embedded: dict[str, tuple[str, ...]], name: str
) -> None:
    service = compose["services"][name]

    assert service["command"][0] == "ckan"
    assert tuple(service["command"][1:]) == embedded[name][-2:]
    assert "container_name" not in service
    assert "ports" not in service


def test_web_server_timer_and_preparation_run_the_same_files(
    compose: dict[str, Any], embedded: dict[str, tuple[str, ...]]
) -> None:
    web, timer = compose["services"]["ckan"]["command"], compose["services"]["timer"]["command"]

    assert web[:2] == list(embedded["ckan"][2:4])
    for command in (web, timer, compose["services"]["prepare"]["command"]):
        (file,) = (Path(part) for part in command if part.startswith("/srv/mlops/site/"))
        assert (SITE / file.name).exists()
    assert Path(web[-1]).name == Path(embedded["ckan"][-1]).name
    assert Path(timer[1]).name == Path(embedded["timer"][1]).name


def test_mlflow_has_the_same_options(compose: dict[str, Any], embedded: dict[str, tuple[str, ...]]) -> None:
    def names(command: Any) -> set[str]:
        return {part for part in command if part.startswith("--")}

    assert names(embedded["mlflow"]) <= names(compose["services"]["mlflow"]["command"])


def test_every_ckan_container_can_write_its_ini(compose: dict[str, Any]) -> None:
    embedded_only = {"site_id", "mlflow_name", "repository_roots", "plugins", "options"}
    embedded_only |= {"demo_storage", "demo_repositories"}  # the demo runs in the embedded portal only
    credentials = {"mlflow_username", "mlflow_password", "mlflow_token"}
    for name in (*CKAN_SERVICES, "prepare"):
        environment = compose["services"][name]["environment"]
        values = ini.from_environment({key: str(value) for key, value in environment.items()})
        ini.render(values)
        given = {key.removeprefix("MLOPS_").lower() for key in environment}
        assert set(ini.IniValues.__dataclass_fields__) - embedded_only - credentials <= given


def test_every_variable_is_in_the_example_and_secrets_have_no_default(compose: dict[str, Any]) -> None:
    used = re.findall(r"\$\{(\w+)(:[?-][^}]*)?\}", (ROOT / "docker-compose.yml").read_text())
    example = dict(
        line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if re.match(r"[A-Z_]+=", line)
    )

    assert {name for name, _ in used} == set(example)
    for name, default in used:
        if "PASSWORD" in name or "SECRET" in name:
            assert default == ":?", name
            assert example[name] == ""


def test_every_lasting_service_restarts_and_stores_are_checked_and_kept(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["restart"] == ("no" if name == "prepare" else "unless-stopped")
    for name in ("postgres", "redis", "solr"):
        service = compose["services"][name]
        assert service["healthcheck"]
        volumes = {mount.partition(":")[0] for mount in service["volumes"]}
        assert volumes & set(compose["volumes"])
        assert "ports" not in service, "stores are for the other containers only"


def test_files_that_are_copied_or_mounted_exist(compose: dict[str, Any]) -> None:
    text = (ROOT / "docker/ckan/Dockerfile").read_text()
    copied = [line.split()[1:-1] for line in text.splitlines() if line.startswith("COPY")]
    sources = [part for parts in copied for part in parts if not part.startswith("--")]

    assert len(sources) >= 5
    for source in (*sources, "docker/postgres/create-databases.sh", "docker/mlflow/Dockerfile"):
        assert (ROOT / source).exists(), source
    pinned = re.search(r"PSYCOPG2=(\S+)", (ROOT / "docker/mlflow/Dockerfile").read_text())
    assert pinned
    assert f"\n{pinned[1]} " in (ROOT / "requirements.lock").read_text()
    assert re.search(r"^mlflow==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)[1] in (  # type: ignore[index]
        (ROOT / "docker/mlflow/Dockerfile").read_text()
    )
