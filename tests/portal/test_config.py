"""portal.toml: what is wrong is refused with its place; what is chosen is kept."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embedded import config
from embedded.errors import ConfigError

if TYPE_CHECKING:
    from tests.portal.conftest import PortalUnderTest

WRONG = {
    "[ckan]\nport = 'http'": "[ckan] port must be a whole number",
    "[ckan]\nport = 70000": "from 0 to 65535",
    "[ckan]\nport = true": "must be a whole number",
    "[ckan]\ntitle = 'x'": "[ckan] title is unknown. There are host, port",
    "[nginx]": "unknown section [nginx]",
    "ckan = 1": "ckan must be a section",
    "[ckan\n": "is not valid TOML",
    "[solr]\nurl = 'localhost:8983'": "[solr] url must be an address that starts with http:// or https://",
    '[ckan]\nsite_title = "a\\nckan.plugins = x"': "must be a text on one line",
    "[ckan]\noptions = 1": "must be a section: [ckan.options]",
    "[ckan.options]\nckan.locale_default = 'de'": "an option whose name has dots needs quotes",
    "[postgres]\nurl = 'postgresql://a@b/c'": "set [postgres] mlflow_url",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "portal.toml"
    path.write_text(text)

    with pytest.raises(ConfigError) as error:
        config.load(path)

    assert WRONG[text] in str(error.value)
    assert str(path) in str(error.value)


def test_an_option_may_be_a_number_or_a_truth_value(tmp_path: Path) -> None:
    path = tmp_path / "portal.toml"
    path.write_text("[ckan.options]\n'smtp.starttls' = false\n'ckan.datasets_per_page' = 10\n'a.b' = 'x'\n")

    found = config.load(path).ckan.options

    assert found == {"smtp.starttls": "false", "ckan.datasets_per_page": "10", "a.b": "x"}


def test_up_stops_at_a_mistake_without_starting_anything(other: PortalUnderTest) -> None:
    other.home.mkdir()
    (other.home / "portal.toml").write_text("[ckan]\nprot = 5000\n")

    result = other.command("up")

    assert result.returncode == 1
    assert "[ckan] prot is unknown" in result.stderr
    assert "Traceback" not in result.stderr
    assert not other.processes()


def test_the_first_file_is_explained_and_private_and_its_ports_stay(tmp_path: Path) -> None:
    path = tmp_path / "portal.toml"

    first = config.prepare(path, {("ckan", "port"): 5123})
    second = config.prepare(path, {})

    assert first == second
    assert first.ckan.port == 5123
    ports = {first.postgres.port, first.redis.port, first.solr.port, first.mlflow.port}
    assert len(ports) == 4
    assert 0 not in ports
    assert "# Any option of ckan.ini" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_service_of_the_operators_gets_no_port(tmp_path: Path) -> None:
    path = tmp_path / "portal.toml"
    path.write_text("[solr]\nurl = 'http://solr.example.org/solr/ckan' # ours\n")

    found = config.prepare(path, {})

    assert found.solr.port == 0
    assert "# ours" in path.read_text()
