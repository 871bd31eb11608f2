"""A repository's plots: revisions overlaid, for those who may see them, from Git and storages."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan.common import config as ckan_settings
from ckan.tests import helpers

from ckanext.mlops.core import naming
from ckanext.mlops.harvesting import repositories as mirrors
from ckanext.mlops.logic import plot_drawing

from .conftest import Repo

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 20
PLOTS = """\
    plots:
    - loss.csv:
        cache: false
        x: step
plots:
- Error:
    title: "</script><script>alert(1)</script>"
    x: step
    y: {loss.csv: loss, extra.json: loss}
- pictures
- far
"""


@pytest.fixture(scope="module")
def plotted(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``v1`` has no plots; ``v2`` and ``v3`` differ in loss, a picture, and a folder that only a remote has."""
    folder = tmp_path_factory.mktemp("plotted")
    shutil.copytree(built, folder / "titanic", symlinks=True)
    repo = Repo(folder / "titanic", minute=2)
    repo.dvc("remote", "add", "--default", "near", str(folder / "store"))
    repo.edit("dvc.yaml", "cmd: echo model > model.pkl", "cmd: sh train.sh")
    repo.edit("dvc.yaml", "    outs:\n    - model.pkl", "    outs:\n    - far\n    - model.pkl")
    repo.write("dvc.yaml", (repo.path / "dvc.yaml").read_text() + PLOTS)
    (repo.path / "pictures").mkdir()
    (repo.path / "pictures" / "tree.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    for name, losses in (("v2", (0.5, 0.4)), ("v3", (0.3, 0.2))):
        script = [
            f"echo {name} > model.pkl; mkdir -p far; echo '{{}}' > metrics.json",
            f"printf 'step,acc\\n1,{losses[0]}\\n' > far/acc.csv",
            f"printf 'step,loss\\n0,{losses[0]}\\n1,{losses[1]}\\n' > loss.csv",
        ]
        repo.write("train.sh", "\n".join(script))
        repo.write("extra.json", json.dumps([{"step": 0, "loss": losses[0] / 2}]))
        (repo.path / "pictures" / "tree.png").write_bytes(PNG + name.encode())
        repo.dvc("repro", "--force", "train")
        repo.commit(name)
        repo.git("tag", name)
    repo.dvc("push")
    return folder


@pytest.fixture
def slug(plotted: Path, root: Path, source: Any, harvest: Any) -> str:
    """The project above, harvested."""
    shutil.copytree(plotted / "titanic", root / "titanic", symlinks=True)
    source(root / "titanic")
    harvest()
    return naming.repository_slug(str(root / "titanic"))


def show(slug: str, plot: str, *revisions: str, **context: Any) -> dict[str, Any]:
    return helpers.call_action("mlops_plot_show", context or None, id=slug, plot=plot, revisions=list(revisions))


def test_plots_of_all_revisions_are_listed(slug: str) -> None:
    found = helpers.call_action("mlops_plot_list", id=slug)
    assert [each["name"] for each in found["plots"]] == ["loss.csv", "Error", "pictures", "far"]
    assert [each["name"] for each in found["revisions"]] == ["main", "v3", "v2"], "v1 has none"
    assert found["hidden"] == 0


def test_revisions_are_overlaid(slug: str) -> None:
    (chart,) = show(slug, "loss.csv", "v2", "v3")["charts"]
    assert chart["revisions"] == ["v2", "v3"]
    assert [(row["rev"], row["step"], row["loss"]) for row in chart["rows"]] == [
        ("v2", 0, 0.5), ("v2", 1, 0.4), ("v3", 0, 0.3), ("v3", 1, 0.2)
    ]  # fmt: skip
    assert chart["spec"]["data"]["values"] == "<DVC_METRIC_DATA>"
    (both,) = show(slug, "Error", "v2")["charts"]
    assert {row["filename"] for row in both["rows"]} == {"loss.csv", "extra.json"}
    answer = show(slug, "loss.csv")
    assert [each["name"] for each in answer["revisions"]] == ["main"]


def test_a_worker_reads_what_a_remote_has_where_the_operator_says_how(
    slug: str, plotted: Path, jobs: Any, monkeypatch: Any
) -> None:
    answer = show(slug, "far", "v3")
    assert (answer["charts"], answer["waiting"]) == ([], False)
    assert "is not told how to read" in answer["notes"][0]["why"]
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.storage.lab.url", str(plotted / "store"))
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.storage.lab.repositories", "*")
    assert show(slug, "far", "v3")["waiting"]
    assert show(slug, "far", "v3")["charts"] == []
    assert jobs() == 1, "however many ask"
    answer = show(slug, "far", "v3")
    (chart,) = answer["charts"]
    assert chart["title"] == "far/acc.csv"
    assert [row["acc"] for row in chart["rows"]] == [0.3]
    assert not answer["waiting"]
    assert show(slug, "far", "v2")["waiting"], "another content"


def test_what_cannot_be_read_is_tried_again_later(slug: str, plotted: Path, jobs: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.storage.lab.url", str(plotted / "empty"))
    monkeypatch.setitem(ckan_settings, "ckanext.mlops.storage.lab.repositories", "*")
    assert show(slug, "far", "v3")["waiting"]
    jobs()
    answer = show(slug, "far", "v3")
    assert (answer["charts"], answer["waiting"]) == ([], False)
    assert [(note["revision"], note["path"]) for note in answer["notes"]] == [("v3", "far")]
    (plotted / "empty").symlink_to(plotted / "store")
    later = time.time() + plot_drawing.AGAIN + 1
    monkeypatch.setattr("ckanext.mlops.logic.plot_drawing.time.time", lambda: later)
    assert show(slug, "far", "v3")["waiting"]
    jobs()
    assert show(slug, "far", "v3")["charts"]
    (plotted / "empty").unlink()


def test_a_worker_draws_what_is_large_once(slug: str, page: Any, jobs: Any, monkeypatch: Any) -> None:
    small = show(slug, "loss.csv", "v2", "v3")
    monkeypatch.setattr(plot_drawing, "ALLOWANCE", 10)
    assert "a worker of this portal draws" in page(f"/repository/{slug}/plots?plot=loss.csv&rev=v2&rev=v3").body
    assert jobs() == 1
    assert show(slug, "loss.csv", "v2", "v3") == small
    monkeypatch.setattr("ckanext.mlops.core.plot_data.data_points", None)  # nothing is read again
    assert show(slug, "loss.csv", "v2", "v3") == small
    assert "a worker of this portal draws" not in page(f"/repository/{slug}/plots?plot=loss.csv&rev=v2&rev=v3").body


def test_what_was_drawn_is_no_secret_door(slug: str, people: Any, api: Any, jobs: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(plot_drawing, "ALLOWANCE", 10)
    show(slug, "loss.csv", "v2")
    jobs()
    helpers.call_action("package_patch", {"user": people.sysadmin.name}, id="titanic-train", data_access="on_request")
    answer = api("mlops_plot_show", people.anonymous, id=slug, plot="loss.csv", revisions=["v2"])
    assert (answer["charts"], answer["waiting"]) == ([], False)


def test_drawn_plots_take_bounded_room(root: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(plot_drawing, "MAX_BYTES", 2_000)
    for number in range(30):
        notes = [plot_drawing.Note("", "", secrets.token_hex(200))]
        plot_drawing.remember(f"{number:064}", plot_drawing.Drawn([], [], notes))
    kept = [number for number in range(30) if plot_drawing.recall(f"{number:064}")]
    assert kept
    assert kept[-1] == 29
    assert sum(each.stat().st_size for each in (mirrors.mirrors() / ".plots").iterdir()) <= 2_000


def test_the_page_looks_the_repository_up_once(slug: str, page: Any, statements: list[str]) -> None:
    page(f"/repository/{slug}/plots", status=200)
    assert len([each for each in statements if "FROM mlops_revision" in each]) == 1
    assert len([each for each in statements if "FROM package" in each]) <= 3


def test_pictures_stand_side_by_side(slug: str, page: Any) -> None:
    png, svg = show(slug, "pictures", "v2", "v3")["images"]
    assert [each["revision"] for each in png["revisions"]] == ["v2", "v3"]
    got = page(png["revisions"][1]["address"], status=200)
    assert got.data == PNG + b"v3"
    assert got.content_type == "image/png"
    drawn = page(svg["revisions"][0]["address"], status=200)
    assert "sandbox" in drawn.headers["Content-Security-Policy"]
    page(f"/repository/{slug}/plots/image?rev=v2&path=params.yaml", status=404)
    page(f"/repository/{slug}/plots/image?rev=v2&path=pictures/none.png", status=404)


def test_the_page_has_charts_and_tables_and_nothing_runs_in_it(slug: str, page: Any, app: Any) -> None:
    body = page(f"/repository/{slug}/plots?rev=v2&rev=v3&rev=none", status=200).body
    soup = BeautifulSoup(body, "html.parser")
    frame = soup.find("iframe")
    assert frame["sandbox"] == ["allow-scripts"]
    document = BeautifulSoup(frame["srcdoc"], "html.parser")
    charts, script = document.find_all("script")
    assert [each["title"] for each in json.loads(charts.string)] == ["loss.csv", "</script><script>alert(1)</script>"]
    assert "default-src 'none'" in document.find("meta", {"http-equiv": True})["content"]
    packed = app.get(script["src"], status=200, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert len(packed.data) < 300_000
    assert not [each for each in soup.find_all("script") if "alert(1)" in str(each)]
    cells = [cell.text for cell in soup.select(".mlops-plot table td")]
    assert {"v2", "v3", "0.5", "0.2"} <= set(cells)
    assert "No revision with plots is called none" in body
    csv = page(f"/repository/{slug}/plots?plot=loss.csv&rev=v2&format=csv", status=200).body
    assert csv.splitlines()[:2] == ["rev,step,loss", "v2,0,0.5"]
    whole = json.loads(page(f"/repository/{slug}/plots?plot=loss.csv&rev=v2&format=json", status=200).body)
    assert whole[0]["spec"]["data"]["values"][0]["loss"] == 0.5
    page(f"/repository/{slug}/plots?plot=none", status=404)
    page("/repository/none-12345678/plots", status=404)
    page("/mlops/plots-000000000000.js", status=404)


def test_hidden_stages_plots_are_never_named(slug: str, people: Any, api: Any, refused: Any) -> None:
    train = helpers.call_action("package_show", id="titanic-train")
    changes = {"private": True, "owner_org": people.organization["id"]}
    helpers.call_action("package_patch", {"user": people.sysadmin.name}, id=train["id"], **changes)
    listed = api("mlops_plot_list", people.anonymous, id=slug)
    assert listed["plots"] == [], "neither the stage's nor what no stage wrote"
    assert listed["hidden"] == 4
    assert "loss" not in json.dumps(listed)
    with pytest.raises(refused):
        api("mlops_plot_show", people.anonymous, id=slug, plot="loss.csv", revisions=["v2"])
    assert api("mlops_plot_show", people.member, id=slug, plot="loss.csv", revisions=["v2"])["charts"]


def test_plots_of_data_that_is_given_on_request_say_so(slug: str, people: Any, api: Any) -> None:
    helpers.call_action("package_patch", {"user": people.sysadmin.name}, id="titanic-train", data_access="on_request")
    answer = api("mlops_plot_show", people.anonymous, id=slug, plot="loss.csv", revisions=["v2"])
    assert answer["charts"] == []
    assert "on request" in answer["notes"][0]["why"]
