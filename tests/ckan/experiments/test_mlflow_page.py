"""The Experiments tab, as a person reads it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from ckan.config.middleware.flask_app import csrf

URL = "/dataset/titanic/experiments"


class Document(HTMLParser):
    """The text of a page, its table rows, forms and links."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.rows: list[list[str]] = []
        self.links: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._cell = False
        self._href = ""
        self._hidden = 0
        self.feed(body)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self._cell = True
        if tag == "a":
            self._href = attributes.get("href") or ""
        if tag in ("script", "style"):
            self._hidden += 1

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = False
        if tag == "a":
            self._href = ""
        if tag in ("script", "style"):
            self._hidden -= 1

    def handle_data(self, data):
        text = " ".join(data.split())
        if not text or self._hidden:
            return
        self.words.append(text)
        if self._cell:
            self.rows[-1][-1] = f"{self.rows[-1][-1]} {text}".strip()
        if self._href:
            self.links[text] = self._href

    @property
    def text(self) -> str:
        return " ".join(self.words)


@pytest.fixture
def read(page, people):
    def open_page(query="", person=None):
        answer = page(URL + query, person or people.anonymous)
        assert answer.status_code == 200, answer.body[:2000]
        return Document(answer.body)

    return open_page


def without_evidence(row):
    """A row of the table without its box to tick and without why the run is there."""
    return [row[1], *row[3:]]


@pytest.fixture
def link(api, people):
    def make(target, kind="run", **data):
        return api("mlops_link_create", people.editor, id="titanic", server="lab", kind=kind, target=target, **data)

    return make


@pytest.fixture
def linked(dataset, tracking, link):
    experiment = tracking.experiment()
    tracking.run(
        experiment,
        "forest",
        metrics={"accuracy": 0.81234567, "loss": 0.5},
        params={"depth": "5", "kind": "forest"},
        tags={"mlflow.source.git.commit": "ab" * 20},
        start=1_600_000_000_000,
    )
    tracking.run(
        experiment,
        "net",
        metrics={"accuracy": 0.9, "loss": "NaN"},
        params={"depth": "7", "kind": "forest"},
        start=1_600_000_100_000,
    )
    link(experiment, "experiment", relation="trained_on", note="two\nlines")
    return experiment


def test_an_empty_tab_says_the_next_step(read, people, dataset, tracking):
    assert "No MLflow experiment or run is linked to this dataset yet." in read().text
    assert "Link one below" not in read().text
    assert "Link one below" in read(person=people.editor).text


def test_without_servers_the_operator_is_told(read, people, dataset, configure):
    text = read(person=people.editor).text
    assert "configuration names no MLflow server" in text
    assert "Name or id" not in text


def test_links_and_runs_are_shown_with_ways_into_mlflow(read, linked, tracking):
    found = read()
    name = tracking.name_of(linked)
    assert found.links[name] == f"/mlflow/lab/experiments/{linked}"
    assert found.links["open in MLflow"] == f"https://mlflow.example.org/#/experiments/{linked}"
    assert found.links["forest"].startswith(f"https://mlflow.example.org/#/experiments/{linked}/runs/")
    for words in (
        "trained on this data",
        "asserted",
        "on MLflow server lab",
        "2 runs",
        "copied",
        "two lines",
    ):
        assert words in found.text
    head, net, forest = (without_evidence(row) for row in found.rows[-3:])
    assert head == ["Run", "Status", "Started ▼", "Duration", "accuracy", "loss", "depth", "User", "Commit"]
    assert net == ["net best", "finished", "2020-09-13 12:28", "1 min 5 s", "0.9", "NaN", "7", "ada", ""]
    assert forest == ["forest", "finished", "2020-09-13 12:26", "1 min 5 s", "0.8123", "0.5", "5", "ada", "abababab"]
    assert ("td", {"class": "mlops-number", "title": "0.81234567"}) in found.tags


def test_columns_order_and_best_run_are_in_the_address(read, linked):
    found = read("?sort=metrics.accuracy&order=asc&column=params.kind&column=metrics.loss&metric=loss")
    head, forest, net = (without_evidence(row) for row in found.rows[-3:])
    assert head == ["Run", "Status", "Started", "Duration", "loss", "kind", "User", "Commit"]
    assert forest[0] == "forest best"
    assert net[0] == "net"
    again = found.links["loss"]
    for part in ("sort=metrics.loss", "column=metrics.loss", "column=params.kind", "metric=loss"):
        assert part in again


@pytest.mark.parametrize(
    "query",
    ["?sort=nonsense", "?page=-3", "?page=x", "?page=99999999999", "?column=x", "?order=up", "?metric=none", "?goal=?"],
)
def test_a_wrong_address_shows_the_default(read, linked, query):
    assert "forest" in read(query).text or "none on this page" in read(query).text


def test_many_runs_come_in_pages(read, dataset, tracking, link):
    experiment = tracking.experiment()
    for each in range(30):
        tracking.run(experiment, f"number{each}", start=1_600_000_000_000 + 1000 * each)
    link(experiment, "experiment")
    first = read()
    assert "Runs 1 to 25 of 30" in first.text
    assert "page=2" in first.links["Next"]
    second = read("?page=2")
    assert "Runs 26 to 30 of 30" in second.text
    assert "number0" in second.text
    assert "number29" not in second.text


def test_hostile_names_are_text(read, page, dataset, tracking, link):
    evil = "<script>alert(1)</script>"
    experiment = tracking.experiment()
    run = tracking.run(experiment, evil + "'\"", params={"p": evil, "q": "v" * 3000}, metrics={"m": "NaN"})
    tracking.run(experiment, "other", params={"p": "{{ 7 * 7 }}", "q": "w"})
    link(run, note=evil)
    link(experiment, "experiment", note="javascript:alert(1)")
    body = page(URL).body
    assert evil not in body
    assert "alert(1)</script>" not in body
    assert "{{ 7 * 7 }}" in body
    assert "v" * 1001 not in body
    assert f'title="{"v" * 1000}"' in body
    assert re.search(r"<td[^>]*>\s*NaN\s*</td>", body)


def test_page_and_lists_ask_no_server(api, read, page, people, dataset, tracking, linked, fault, configure):
    configure("lab", uri=fault.uri)
    before = read(person=people.editor).text
    api("mlops_link_list", id="titanic")
    api("mlops_run_list", id="titanic")
    assert fault.asked == []
    assert "net best" in " ".join(before.split())


def test_a_stopped_server_leaves_the_page_as_it_was_with_a_mark(read, linked, stop_lab, sync):
    before = read()
    stop_lab()
    sync()
    after = read()
    assert after.rows == before.rows
    notice = "The MLflow server lab did not answer when it was last asked."
    assert notice in after.text
    assert notice not in before.text


def test_deleted_runs_are_marked(read, api, linked, tracking, sync):
    run = api("mlops_run_list", id="titanic", sort="name")["results"][0]
    tracking.call("runs/delete", run_id=run["run_id"])
    sync()
    net, forest = (without_evidence(row) for row in read().rows[-2:])
    assert net[:2] == ["net", "finished deleted"]
    assert forest[0] == "forest best"


def test_a_declared_experiment_says_that_it_was_not_synced(read, make_dataset, tracking):
    make_dataset(name="titanic", mlflow_server="lab", mlflow_experiment="to come")
    text = read().text
    assert "to come" in text
    assert "declared by this dataset, not synced yet" in text


def test_a_private_dataset_is_not_there_for_others(page, people, make_dataset, tracking):
    make_dataset(name="titanic", private=True)
    assert page(URL).status_code == 404
    assert page(URL, people.outsider).status_code == 404
    assert page(URL, people.member).status_code == 200
    assert page("/dataset/none/experiments").status_code == 404


def test_an_editor_links_and_removes_in_the_page(app, api, read, people, dataset, tracking):
    run = tracking.run(tracking.experiment(), "by form")
    headers = people.editor.headers
    answer = app.post(
        URL,
        data={"server": "lab", "kind": "run", "target": f" {run} ", "relation": "produced", "version": "", "note": "n"},
        headers=headers,
        follow_redirects=False,
    )
    assert answer.status_code == 302
    assert answer.location.endswith(URL + "?version=all")
    [made] = api("mlops_link_list", id="titanic")["results"]
    assert (made["target"], made["relation"], made["note"]) == (run, "produced", "n")
    assert any(
        tag == "button" and attributes.get("aria-label") == "Remove the link to by form"
        for tag, attributes in read(person=people.editor).tags
    )
    assert "Remove" not in read(person=people.member).text
    answer = app.post(f"{URL}/{made['id']}/remove", headers=headers, follow_redirects=False)
    assert answer.status_code == 302
    assert api("mlops_link_list", id="titanic")["count"] == 0


def test_the_form_returns_with_what_is_wrong(app, people, dataset, tracking):
    answer = app.post(
        URL,
        data={"server": "lab", "kind": "experiment", "target": "no <such>", "relation": "used", "note": "kept"},
        headers=people.editor.headers,
    )
    assert answer.status_code == 409
    found = Document(answer.body)
    assert "MLflow server lab has no experiment with this id or name." in found.text
    assert "kept" in found.text
    assert any(attributes.get("value") == "no <such>" for _, attributes in found.tags)


def test_readers_can_neither_link_nor_remove_in_the_page(app, api, people, dataset, tracking, link):
    made = link(tracking.run(tracking.experiment()))
    for person in (people.member, people.outsider):
        assert app.post(URL, data={"server": "lab", "target": "x"}, headers=person.headers).status_code == 403
        assert app.post(f"{URL}/{made['id']}/remove", headers=person.headers).status_code == 403
    assert api("mlops_link_list", id="titanic")["count"] == 1


def test_a_browser_needs_the_token_of_the_form(api, people, dataset, tracking, sign_in):
    run = tracking.run(tracking.experiment())
    data = {"server": "lab", "kind": "run", "target": run, "relation": "used"}
    browser = sign_in(people.editor)
    # CKAN exempts a view for good once somebody used it with an API token, as other tests here do.
    for view in ("link", "unlink"):
        csrf._exempt_views.discard(f"ckanext.mlops.views.experiments.{view}")
    assert browser.post(URL, data=data, follow_redirects=False).status_code == 400
    assert api("mlops_link_list", id="titanic")["count"] == 0
    data["_csrf_token"] = token_of(browser.get(URL).body, "mlops-link-form")
    assert browser.post(URL, data=data, follow_redirects=False).status_code == 302
    [made] = api("mlops_link_list", id="titanic")["results"]
    remove = f"{URL}/{made['id']}/remove"
    assert browser.post(remove, follow_redirects=False).status_code == 400
    token = token_of(browser.get(URL).body, remove)
    assert browser.post(remove, data={"_csrf_token": token}, follow_redirects=False).status_code == 302
    assert api("mlops_link_list", id="titanic")["count"] == 0


def token_of(body, after):
    found = re.search(r'name="_csrf_token" value="([^"]+)"', body[body.index(after) :])
    assert found
    return found[1]
