"""The configuration of a source: what is accepted, what is refused and how that is said."""

from __future__ import annotations

import json

import pytest

from ckanext.mlops.harvesting.source_config import OPTIONS, ConfigError, SourceConfig, parse


@pytest.mark.parametrize("text", [None, "", "  ", "{}"])
def test_nothing_means_everything(text: str | None) -> None:
    assert parse(text) == SourceConfig(branches=("*",), git_tags=("*",))


def test_every_option_is_accepted() -> None:
    config = {
        "branches": ["main", "release/*", "!release/0.*"],
        "git_tags": [],
        "experiments": True,
        "include": ["data/*"],
        "exclude": ["data/tmp*"],
        "subfolder": "/ml/titanic/",
        "commits": 100,
        "title_template": "{project}, {stage}",
        "remote": "archive",
        "approval": True,
        "push": False,
        "remote_metrics": True,
        "previews": True,
        "webhook": "lab",
        "mail_reports": True,
        "credential": "lab-github",
        "private_datasets": True,
        "tags_added": ["titanic", "open data"],
        "groups_added": ["survival"],
        "mlflow_server": "lab",
        "mlflow_experiment": "Titanic, first try",
    }
    assert set(config) == set(OPTIONS)
    parsed = parse(json.dumps(config), configured={"credential": ["lab-github"]})
    assert parsed.subfolder == "ml/titanic"
    assert parsed.branches == ("main", "release/*", "!release/0.*")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{branches: [main]}", "not JSON, line 1, column 2"),
        ('["main"]', "must be a JSON object"),
        ("[" * 90_000, "nested too deeply"),
        ('{"a": "' + "x" * 100_001 + '"}', "longer than 100,000"),
        ('{"brnches": ["main"]}', "brnches: there is no such option; did you mean branches?"),
        ('{"tags": ["v*"]}', "tags: there is no such option; did you mean git_tags?"),
        ('{"zzz": 1}', "zzz: there is no such option; the options are branches, git_tags"),
        ('{"branches": "main"}', 'branches: must be a list of texts, as in "branches": ["…"]'),
        ('{"branches": [1]}', "branches: must be text"),
        ('{"branches": [""]}', "branches: holds an empty text"),
        ('{"branches": ["a"], "branches": ["b"]}', "branches: the option is given twice"),
        ('{"branches": [], "git_tags": []}', "nothing would be read"),
        ('{"git_tags": ["' + "x" * 501 + '"]}', "git_tags: longer than 500"),
        ('{"git_tags": ["a\\u0000b"]}', "git_tags: holds control characters"),
        ('{"private_datasets": "yes"}', "private_datasets: must be true or false"),
        ('{"subfolder": "../other"}', "subfolder: must be a folder inside the repository"),
        ('{"groups_added": ["no such name!"]}', "groups_added: must be a name"),
        ('{"mlflow_experiment": "x"}', "name the server too"),
        ('{"remote_metrics": true, "push": true}', "remote_metrics: not for a repository whose records are sent"),
        ('{"credential": "lab"}', 'no credential named "lab" is configured'),
        ('{"webhook": "lab"}', 'webhook: no webhook named "lab" is configured in this portal; ask its operator'),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, configured={"credential": [], "webhook": []})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"token": "x"}',
        '{"password": "x"}',
        '{"github_api_key": "x"}',
        '{"credential": "ghp_0123456789abcdefghijABCDEFGHIJ012345"}',
        '{"credential": "glpat-0123456789abcdefghij"}',
        '{"credential": "0123456789abcdef0123456789abcdef01234567"}',
        '{"mlflow_server": "aB3dEfGh1jKlMnOpQrStUvWx"}',
        '{"mlflow_experiment": "https://user:secret@mlflow.example", "mlflow_server": "a"}',
        '{"tags_added": ["-----BEGIN OPENSSH PRIVATE KEY-----"]}',
        '{"branches": ["Bearer abcdefgh12345678"]}',
        '{"exclude": ["AKIAIOSFODNN7EXAMPLE"]}',
    ],
)
def test_secrets_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    message = str(caught.value)
    assert "credential" in message
    assert "ckanext.mlops.credential.<name>.token" in message
    for value in json.loads(text).values():
        secret = value[0] if isinstance(value, list) else value
        assert len(secret) < 3 or secret not in message


def test_a_branch_may_look_like_a_key() -> None:
    assert parse('{"branches": ["Release2024WithManyNewFeatures"]}').branches == ("Release2024WithManyNewFeatures",)
