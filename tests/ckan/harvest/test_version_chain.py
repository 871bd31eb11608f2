"""The versions of one step are one chain, whatever its address was; any two of them can be compared."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan.tests import helpers


@pytest.fixture
def titanic(bundle: Any, source: Any, harvest: Any) -> None:
    """The real project of 2019, whose training moved from ``code/Dvcfile`` to ``Dvcfile``."""
    source(bundle("mlops-titanic"))
    harvest()


def versions(api: Any, person: Any = None, **values: Any) -> Any:
    return api("mlops_version_list", person, id="mlops-titanic-dvcfile", **values)


def test_the_real_history_is_one_chain_with_its_evidence(titanic: None, api: Any, show: Any) -> None:
    answer = versions(api)
    assert {each["facts"]["address"] for each in answer["results"]} == {"Dvcfile", "code/Dvcfile"}
    assert answer["count"] == len(answer["results"]) == versions(api, chain=False)["count"] + 1
    [link] = answer["chain"]
    assert (link["name"], link["stage"]) == ("mlops-titanic-code-dvcfile", "code/Dvcfile")
    assert link["why"] == "code/Dvcfile: both wrote data/metrics.json with the hash bafb81e41f66de16e50c45906b6d3615"
    dates = [each["committed"] for each in answer["results"]]
    assert dates == sorted(dates, reverse=True)
    assert show("mlops-titanic-code-dvcfile")["dvc_moved_to"] == show("mlops-titanic-dvcfile")["id"]


def test_harvesting_again_changes_nothing(titanic: None, harvest: Any, catalog: Any) -> None:
    before = catalog(exact=True)
    assert harvest().counts()["unchanged"] == 4
    assert catalog(exact=True) == before


def test_the_first_version_is_compared_with_the_last_one_of_the_old_address(titanic: None, api: Any) -> None:
    found = versions(api)["results"]
    first = [each for each in found if each["facts"]["address"] == "Dvcfile"][-1]
    shown = api("mlops_version_show", id=first["id"])
    assert shown["previous_dataset"] == "mlops-titanic-code-dvcfile"
    assert shown["changes"]["address"] == {"before": "code/Dvcfile", "after": "Dvcfile"}


def test_the_pages_show_the_chain(titanic: None, page: Any) -> None:
    body = page("/dataset/mlops-titanic-dvcfile/versions", status=200).body
    assert "Goes on from" in body
    assert "bafb81e41f66de16e50c45906b6d3615" in body
    assert "/dataset/mlops-titanic-code-dvcfile/versions/" in body
    assert "goes on under another address" in page("/dataset/mlops-titanic-code-dvcfile", status=200).body


def test_tab_list_and_repository_count_the_same_versions(titanic: None, api: Any, page: Any) -> None:
    number = versions(api)["count"]
    assert f"Versions ({number})" in page("/dataset/mlops-titanic-dvcfile", status=200).body
    found = BeautifulSoup(page("/dataset/?q=name:mlops-titanic-dvcfile", status=200).body, "html.parser")
    assert f"{number} versions" in found.select_one(".dataset-item").text
    [repository] = api("mlops_overview")["repositories"]
    rows = {each["name"]: each["versions"] for each in api("mlops_repository_show", id=repository["id"])["datasets"]}
    assert rows["mlops-titanic-dvcfile"] == number


def test_lineage_at_a_ref_of_the_old_address_starts_there(titanic: None, api: Any, page: Any) -> None:
    old, new = (api("package_show", id=f"mlops-titanic-{name}")["id"] for name in ("code-dvcfile", "dvcfile"))
    [ref] = [each for each in api("mlops_ref_list", id=old) if each["kind"] == "tag"][:1]
    assert ref in api("mlops_ref_list", id=new)
    for start, begins in ((new, old), ("mlops-titanic-code-dvcfile", old)):
        assert api("mlops_lineage_show", id=start, at=ref["name"])["starts"] == [begins]
    assert api("mlops_lineage_show", id=new)["starts"] == [new]
    body = page(f"/dataset/mlops-titanic-dvcfile/lineage?at={ref['name']}", status=200).body
    assert f'<option value="{ref["name"]}" selected>' in body


def test_what_a_reader_may_not_see_ends_the_chain(titanic: None, api: Any, people: Any, page: Any) -> None:
    helpers.call_action("package_patch", {"user": "root"}, id="mlops-titanic-code-dvcfile", private=True)
    assert versions(api)["chain"] == []
    assert {each["facts"]["address"] for each in versions(api)["results"]} == {"Dvcfile"}
    assert len(versions(api, people.member)["chain"]) == 1
    assert "code-dvcfile" not in page("/dataset/mlops-titanic-dvcfile", status=200).body


def test_any_two_versions_are_compared(titanic: None, api: Any, page: Any) -> None:
    found = versions(api)["results"]
    tags = {ref["name"]: each for each in found for ref in each["refs"]}
    answer = api("mlops_version_diff", before=tags["wrong-baseline"]["id"], after=tags["baseline"]["id"])
    assert answer["changes"]["command"] is None
    assert answer["changes"]["outputs"][0]["name"] == "data/metrics.json"
    assert answer["before"]["dataset"] == "mlops-titanic-code-dvcfile"
    body = page(
        f"/dataset/mlops-titanic-dvcfile/versions/compare?before={tags['baseline']['id']}"
        f"&after={tags['tensorflow']['id']}",
        status=200,
    ).body
    assert body.count(" selected>") == 2
    assert body.count(" · current") == 2, "in each list once: what was current of the step before is not"
    assert "data/metrics.json" in body


def test_a_comparison_without_a_choice_is_of_the_two_newest(titanic: None, page: Any) -> None:
    assert "What changed" in page("/dataset/mlops-titanic-dvcfile/versions/compare", status=200).body
    page("/dataset/mlops-titanic-dvcfile/versions/compare?before=nothing", status=404)
