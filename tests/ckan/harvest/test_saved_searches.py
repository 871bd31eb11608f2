"""People are told of new versions: of what their saved searches find, and of what they follow, if they may see it."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ckan import model
from ckan.lib import jobs

from ckanext.mlops.model import searches
from ckanext.mlops.model.searches import Notice, SavedSearch
from ckanext.mlops.search import news, saved


@pytest.fixture
def earlier() -> None:
    """Everybody saved and followed an hour ago; a harvest of the same second is no news."""

    def shift() -> None:
        hour = datetime.timedelta(hours=1)
        for table, column in ((SavedSearch, "created"), (model.UserFollowingDataset, "datetime")):
            for row in model.Session.query(table):
                setattr(row, column, getattr(row, column) - hour)
        model.Session.commit()

    return shift


def told(person: Any) -> list[str]:
    """Names of the datasets of whose versions a person was told, in order."""
    rows = (
        model.Session.query(model.Package.name)
        .join(Notice, Notice.package_id == model.Package.id)
        .filter(Notice.user_id == person.id)
        .order_by(model.Package.name)
    )
    return [name for (name,) in rows]


def entries(api: Any, person: Any) -> list[dict[str, Any]]:
    shown = api("dashboard_activity_list", person)
    return [each for each in shown if each["activity_type"] == "found new versions of package"]


def test_who_may_see_it_is_told_once_of_each_version(
    people: Any, api: Any, repo: Any, source: Any, harvest: Any, earlier: Any, mails: list[Any], sign_in: Any
) -> None:
    for person in (people.member, people.outsider):
        api("mlops_saved_search_create", person, query="?q=stage%3Atrain&page=2", name="Trainings")
    api("mlops_saved_search_create", people.editor, query="vocab_dvc_stage=train", mail=False)
    earlier()
    source(repo.path, private_datasets=True)
    harvest()
    assert "Tell people of new versions" in [each.meta["title"] for each in jobs.get_queue().jobs]
    news.job()
    assert (told(people.member), told(people.editor), told(people.outsider)) == (["titanic-train"],) * 2 + ([],)
    [mail] = mails
    assert mail["To"] == "member@portal.test" or "member@portal.test" in mail["To"]
    text = mail.get_body().get_content()
    assert "Trainings" in text
    assert "http://portal.test/dataset/titanic-train/versions" in text

    news.job()
    harvest()
    news.job()
    assert len(mails) == 1
    [entry] = entries(api, people.member)
    assert entry["data"]["search"] == "Trainings"
    assert not [
        each for each in api("user_activity_list", people.outsider, id="member") if "found" in each["activity_type"]
    ]

    repo.write("params.yaml", "seed: 77\n")
    repo.dvc("repro")
    repo.commit()
    harvest()
    news.job()
    assert told(people.member) == ["titanic-train"] * 2
    assert len(mails) == len(entries(api, people.member)) == 2

    browser = sign_in(people.member)
    body = browser.get("/dashboard/searches", status=200).body
    assert "Trainings" in body
    assert "/dataset/titanic-train/version" in body
    assert "Titanic: train" in browser.get("/dashboard/", status=200).body


def test_followers_are_told_and_nobody_who_may_not_see_it_any_more(
    people: Any, api: Any, repo: Any, source: Any, harvest: Any, earlier: Any, page: Any
) -> None:
    source(repo.path)
    harvest()
    news.job()
    assert told(people.outsider) == []
    for name in ("titanic-train", "titanic-prepare"):
        api("follow_dataset", people.outsider, id=name)
    earlier()
    api("package_patch", people.editor, id="titanic-prepare", private=True)
    model.Session.query(searches.Notice).delete()
    model.Session.query(news.link_hints.Matched).delete()
    model.Session.commit()
    news.job()
    assert told(people.outsider) == ["titanic-train"]
    [entry] = entries(api, people.outsider)
    assert entry["data"]["count"] == 1
    api("package_patch", people.editor, id="titanic-train", private=True)
    assert "Titanic: train" not in page("/dashboard/", people.outsider, status=200).body
    api("dataset_purge", people.sysadmin, id="titanic-train")
    assert model.Session.query(Notice).count() == 0


def test_who_is_gone_when_a_mail_is_due_gets_none(
    people: Any, api: Any, repo: Any, source: Any, harvest: Any, earlier: Any, mails: list[Any]
) -> None:
    api("mlops_saved_search_create", people.outsider, query="q=stage:train")
    earlier()
    source(repo.path)
    harvest()
    assert news.tell(model.Session()) == 1
    api("user_delete", people.sysadmin, id="outsider")
    assert news.mail_due() == 0
    assert mails == []


def test_a_search_is_saved_once_and_deleted_by_its_owner(people: Any, api: Any, refused: Any) -> None:
    first = api("mlops_saved_search_create", people.member, query="q=age&sort=x&page=3", name="a")
    again = api("mlops_saved_search_create", people.member, query="?page=9&q=age+", mail=False)
    assert (again["id"], again["name"], again["mail"]) == (first["id"], "age", False)
    assert [each["id"] for each in api("mlops_saved_search_list", people.member)] == [first["id"]]
    assert api("mlops_saved_search_list", people.outsider) == []
    for query in ("", "page=2", "q=", "q=title:(", "q={!func}x", "a b=c"):
        with pytest.raises(refused) as caught:
            api("mlops_saved_search_create", people.member, query=query)
        assert caught.value.status == 409, query
    api("mlops_saved_search_delete", people.member, id=first["id"])
    assert api("mlops_saved_search_list", people.member) == []


def test_the_pages_save_and_delete(people: Any, sign_in: Any, app: Any, api: Any) -> None:
    assert "Sign in to be told" in app.get("/dataset/?q=age", status=200).body
    assert "Save this search" not in app.get("/dataset/", status=200).body
    browser = sign_in(people.member)
    assert "You saved no search yet" in browser.get("/dashboard/searches", status=200).body
    form = browser.get("/dataset/?q=age&vocab_role=raw", status=200).body
    assert "Tell me of new versions" in form
    token = form.split('name="_csrf_token"', 1)[1].split('value="', 1)[1].split('"', 1)[0]
    sent = {"query": "q=age&vocab_role=raw", "name": "<b>Ages</b>", "mail": "true", "_csrf_token": token}
    assert browser.post("/dashboard/searches", data=sent | {"_csrf_token": "x"}).status_code == 400
    body = browser.post("/dashboard/searches", data=sent).body
    assert "&lt;b&gt;Ages&lt;/b&gt;" in body
    [search] = api("mlops_saved_search_list", people.member)
    assert search["query"] == "q=age&vocab_role=raw"
    address = f"/dashboard/searches/{search['id']}/delete"
    assert "You saved no search yet" in browser.post(address, data={"_csrf_token": token}).body


def test_values_are_quoted() -> None:
    asked = saved.arguments(saved.canonical('q=age&organization=lab&tags=a"b) OR *:*&bad field=1'))
    assert asked["q"] == "age"
    assert asked["fq_list"] == ["+dataset_type:dataset", 'organization:"lab"', 'tags:"a\\"b) OR *:*"']
