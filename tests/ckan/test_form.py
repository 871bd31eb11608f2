"""The fields in the web form, as a signed-in editor fills it in."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest


class Form(HTMLParser):
    """The fields of the form that has the class ``dataset-form``, as a browser would send them."""

    def __init__(self, body: str, ident: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self._ident, self._inside, self._area, self._select = ident, False, "", ""
        self.feed(body)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "form":
            self._inside = attributes.get("id") == self._ident
        name = attributes.get("name", "")
        if not self._inside or not (name or tag == "option"):
            return
        if tag == "input" and attributes.get("type") not in ("submit", "checkbox", "radio", "file"):
            self.values[name] = attributes.get("value") or ""
        elif tag == "textarea":
            self._area = name
            self.values[name] = ""
        elif tag == "select":
            self._select = name
            self.values.setdefault(name, "")
        elif tag == "option" and self._select and "selected" in attributes:
            self.values[self._select] = attributes.get("value") or ""

    def handle_data(self, data):
        if self._area:
            self.values[self._area] += data.removeprefix("\n") if not self.values[self._area] else data

    def handle_endtag(self, tag):
        if tag == "form":
            self._inside = False
        elif tag == "textarea":
            self._area = ""
        elif tag == "select":
            self._select = ""


@pytest.fixture
def browser(sign_in, people):
    return sign_in(people.editor)


def filled(browser, url, ident="dataset-edit"):
    body = browser.get(url, status=200).body
    values = Form(body, ident).values
    token = re.search(r'name="_csrf_token"[^>]*value="([^"]+)"|content="([^"]+)" name="_csrf_token"', body)
    assert token, "the form carries a CSRF token"
    values["_csrf_token"] = next(group for group in token.groups() if group)
    values.setdefault("save", "")  # the button
    # The hidden pattern of a repeating group is taken out of the page by its script.
    return {name: value for name, value in values.items() if "REPEATING" not in name}


def test_a_dataset_is_made_with_the_form(browser, people, make_dataset, api):
    raw = make_dataset(name="titanic-raw")
    values = filled(browser, "/dataset/new")
    values |= {
        "title": "Titanic",
        "name": "titanic",
        "owner_org": people.organization["id"],
        "dvc_repository": "https://github.com/example/titanic",
        "dvc_commit": "9c1d8e0f",
        "dvc_stage": "train",
        "dvc_command": "python train.py",
        "dvc_retired": "",
        "derived_from-0001-dataset": "titanic-raw",
        "derived_from-0001-url": "",
        "derived_from-0001-label": "",
        "derived_from-0001-origin": "",
        "derived_from-0002-dataset": "",
        "derived_from-0002-url": "https://www.kaggle.com/c/titanic",
        "derived_from-0002-label": "Kaggle",
        "derived_from-0002-origin": "",
    }
    browser.post("/dataset/new", data=values, follow_redirects=False, status=302)
    made = api("package_show", people.editor, id="titanic")
    assert made["dvc_stage"] == "train"
    assert made["derived_from"] == [
        {"dataset": raw["id"], "origin": "asserted"},
        {"url": "https://www.kaggle.com/c/titanic", "label": "Kaggle", "origin": "asserted"},
    ]


def test_the_form_is_refused_without_its_token(browser, people):
    values = filled(browser, "/dataset/new") | {"title": "Titanic", "name": "titanic"}
    del values["_csrf_token"]
    assert browser.post("/dataset/new", data=values, follow_redirects=False).status_code == 400


def test_saving_an_edit_form_untouched_changes_nothing(browser, people, make_dataset, api):
    raw = make_dataset(name="titanic-raw")
    make_dataset(
        name="titanic",
        title="Titanic",
        dvc_repository="git@github.com:example/titanic.git",
        dvc_command="python a.py \\\n  --seed 1",
        dvc_retired="2026-03-31",
        mlflow_experiment="Titanic",
        derived_from=[
            {"dataset": raw["id"], "label": "raw", "origin": "harvested"},
            {"url": "https://example.com/x", "label": "", "origin": "asserted"},
        ],
    )
    before = api("package_show", people.editor, id="titanic")
    values = filled(browser, "/dataset/edit/titanic")
    assert values["derived_from-0001-dataset"] == "titanic-raw", "people see a name, not an id"
    # Browsers send CR LF.
    values = {name: value.replace("\n", "\r\n") for name, value in values.items()}
    browser.post("/dataset/edit/titanic", data=values, follow_redirects=False, status=302)
    after = api("package_show", people.editor, id="titanic")
    # CKAN's own form sends its empty fields, and sets a licence.
    ignored = ("metadata_modified", "license_title", "license_id")
    before, after = ({k: v for k, v in each.items() if v and k not in ignored} for each in (before, after))
    assert after == before


def test_errors_stand_at_their_fields(browser, make_dataset):
    make_dataset(name="titanic", title="Titanic")
    values = filled(browser, "/dataset/edit/titanic") | {
        "dvc_repository": "https://user:secret@example.com/o/r",
        "dvc_commit": "main",
        "derived_from-0001-dataset": "no-such-data",
        "derived_from-0001-url": "",
        "derived_from-0001-label": "",
        "derived_from-0001-origin": "",
    }
    body = browser.post("/dataset/edit/titanic", data=values, follow_redirects=False, status=200).body
    for field, why in (
        ("dvc_repository", "Holds a user name or password"),
        ("dvc_commit", "Not a Git commit"),
        ("derived_from-0001-dataset", "There is no dataset of that name"),
    ):
        block = body[body.index(f'id="field-{field}"') :]
        assert why in block[: block.index("</div>")], field
    assert re.search(r"<details open>", body), "the section is open where errors are"


def test_the_resource_form_has_the_fields(browser, make_dataset, people, api):
    made = make_dataset(
        name="titanic",
        resources=[
            {
                "url": "https://example.com/x.csv",
                "name": "x",
                "hash": "ab",
                "hash_algorithm": "etag",
                "dvc_kind": "data",
            }
        ],
    )
    url = f"/dataset/titanic/resource/{made['resources'][0]['id']}/edit"
    values = filled(browser, url, "resource-edit")
    assert (values["dvc_kind"], values["hash"], values["hash_algorithm"]) == ("data", "ab", "etag")
    values |= {"dvc_kind": "model", "dvc_path": "models/x", "size": "12", "save": "go-dataset"}
    browser.post(url, data=values, follow_redirects=False, status=302)
    resource = api("package_show", people.editor, id="titanic")["resources"][0]
    assert (resource["dvc_kind"], resource["dvc_path"], resource["size"]) == ("model", "models/x", 12)


def test_the_order_of_many_entries_is_kept(browser, make_dataset, people, api):
    entries = [{"url": f"https://example.com/{number}", "origin": "harvested"} for number in range(13)]
    make_dataset(name="titanic", title="Titanic", derived_from=entries)
    values = filled(browser, "/dataset/edit/titanic")
    browser.post("/dataset/edit/titanic", data=values, follow_redirects=False, status=302)
    assert api("package_show", people.editor, id="titanic")["derived_from"] == entries


@pytest.mark.ckan_config("ckanext.mlops.mlflow.servers", ["lab"])
def test_configured_servers_are_suggested(browser):
    body = browser.get("/dataset/new", status=200).body
    assert '<datalist id="choices-mlflow_server">' in body
    assert '<option value="lab">' in body
