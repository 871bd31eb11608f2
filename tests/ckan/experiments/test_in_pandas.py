"""The line for pandas beside every table is run as a reader pastes it, against a real HTTP server."""

from __future__ import annotations

import json
import subprocess
import sys

from bs4 import BeautifulSoup

PAGES = (
    "/dataset/titanic/experiments",
    "/dataset/titanic/experiments?version=all",
    "/dataset/titanic/compare?run=lab:r1&run=lab:r3",
    "/dataset/titanic/leaderboard",
    "/mlflow/models",
    "/mlflow/models?q=forest",
    "/mlflow/experiments",
    "/mlflow/lab/models/forest",
    "/mlflow/lab/experiments/7",
)


def shown(page, live, address, person):
    """The code of a page, at the server of this test, and what the page says to add for a token."""
    box = BeautifulSoup(page(address, person).body, "html.parser").select_one(".mlops-exports")
    code, more = box.select("code")
    return code.text.replace("http://portal.test", live), more.text


def frames(codes, folder, **variables):
    """The tables that the codes make, as JSON: names of columns, and rows."""
    ends = "\nprint(table.to_json(orient='split'))\n"
    done = subprocess.run(
        [sys.executable, "-c", "".join(f"{code}{ends}" for code in codes)],
        cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_table_is_read_as_the_page_says(world, page, people, live, tmp_path):
    codes = [shown(page, live, address, people.anonymous)[0] for address in PAGES]
    found = dict(zip(PAGES, frames(codes, tmp_path), strict=True))
    this, every = (found[address] for address in PAGES[:2])
    assert [row[this["columns"].index("run_id")] for row in this["data"]] == ["r3"]
    assert {row[every["columns"].index("run_id")] for row in every["data"]} == {"r1", "r3"}
    accuracy = every["columns"].index("metrics.acc")
    assert sorted(row[accuracy] for row in every["data"]) == [0.7, 0.8]
    assert all(table["data"] for table in found.values())
    assert "secret" not in json.dumps(found).replace("secret_key", "")


def test_a_private_dataset_is_read_with_the_token_that_the_page_says_to_add(world, api, page, people, live, tmp_path):
    code, more = shown(page, live, "/dataset/secret-passengers/experiments", people.member)
    assert more == 'storage_options={"Authorization": token}'
    code = f"import os\ntoken = os.environ['TOKEN']\n{code.rstrip(')')}, {more})"
    [table] = frames([code], tmp_path, TOKEN=people.member.token)
    assert [row[table["columns"].index("run_id")] for row in table["data"]] == ["r2"]
