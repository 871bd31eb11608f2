"""Which outside sources a command names."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ckanext.mlops.core.hints import MAX_HINTS, source_hints

KAGGLE = "https://www.kaggle.com/"


def uris(command):
    return [hint.uri for hint in source_hints(command)]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("kaggle competitions download -c titanic", "competitions/titanic"),
        ("kaggle competitions download titanic -p data", "competitions/titanic"),
        ("kaggle c download -q -p data --competition=titanic", "competitions/titanic"),
        ("kaggle c download -f train.csv -c digit-recognizer && unzip x.zip", "competitions/digit-recognizer"),
        ("kaggle datasets download -d uciml/iris --unzip", "datasets/uciml/iris"),
        ("kaggle datasets download uciml/iris/versions/2", "datasets/uciml/iris"),
        ("cd data; KAGGLE_KEY=abc kaggle d download --dataset=zynicide/wine-reviews", "datasets/zynicide/wine-reviews"),
        ("poetry run kaggle datasets download -d a/b", "datasets/a/b"),
        ("conda run -n env kaggle datasets download -d a/b", "datasets/a/b"),
        ("python3 -m kaggle c download x", "competitions/x"),
        ("sudo -u ada env A=b /usr/bin/kaggle c download x", "competitions/x"),
        ("kaggle models instances versions download google/gemma/pyTorch/2b/1", "models/google/gemma/pyTorch/2b"),
        ("kaggle kernels pull a/b; kaggle competitions download -c 'unterminated", "competitions/unterminated"),
        ("mkdir -p data && \\\n  kaggle competitions \\\n  download -c titanic", "competitions/titanic"),
        ("python -c \"import kagglehub; kagglehub.dataset_download('a/b')\"", "datasets/a/b"),
        ("python -c 'kagglehub.competition_download(\"x\")'", "competitions/x"),
        ("python get.py --url https://www.kaggle.com/c/titanic/data?select=train.csv", "competitions/titanic"),
        ("curl -L https://kaggle.com/datasets/uciml/iris", "datasets/uciml/iris"),
    ],
)
def test_kaggle_is_recognised(command, expected):
    (hint,) = source_hints(command)
    assert (hint.kind, hint.uri) == ("kaggle", KAGGLE + expected)
    assert hint.label.startswith("Kaggle ")


@pytest.mark.parametrize(
    ("command", "kind", "uri"),
    [
        ("wget -O a.csv https://host.org/a.csv", "url", "https://host.org/a.csv"),
        ("curl -L 'https://Host.ORG:8443/a.csv' > y", "url", "https://host.org:8443/a.csv"),
        ("curl -sS https://host.org/x.tgz|tar xz", "url", "https://host.org/x.tgz"),
        ("aws s3 cp --profile p s3://Bucket/k data/k", "url", "s3://Bucket/k"),
        ("aws s3 sync s3://b/k d --endpoint-url https://minio:9000", "url", "s3://b/k"),
        ("gsutil -m cp -r gs://b/path .", "url", "gs://b/path"),
        ("rsync -av me@host.org:/data/x .", "url", "ssh://host.org/data/x"),
        ("git clone --depth 1 git@github.com:o/r.git", "git", "ssh://github.com/o/r"),
        ("git clone https://github.com/o/r.git data", "git", "https://github.com/o/r"),
        ("bash -c 'curl https://x.org/a'", "url", "https://x.org/a"),
        ("echo $(curl https://x.org/a)", "url", "https://x.org/a"),
        ("dvc import-url https://data.org/x.xml data/x.xml", "url", "https://data.org/x.xml"),
        ("dvc get https://github.com/o/r data/x.xml --rev v1 -o y", "dvc", "https://github.com/o/r#data/x.xml"),
        ("dvc import --rev v1 git@github.com:o/r.git data", "dvc", "ssh://github.com/o/r#data"),
    ],
)
def test_addresses_of_data_are_recognised(command, kind, uri):
    (hint,) = source_hints(command)
    assert (hint.kind, hint.uri) == (kind, uri)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "python src/train.py --lr 0.1",
        "echo kaggle competitions download",
        "kaggle competitions submit -c titanic -f out.csv",
        "kaggle datasets version -p data -m 'update https://x.org'",
        "kaggle competitions download",
        "kaggle competitions download -c '../../evil?x=1'",
        "curl -T out.csv https://host.org/upload",
        "curl -X POST -d @x https://host.org/hook",
        "aws s3 cp out.csv s3://bucket/k --profile x",
        "rsync -a out/ me@host.org:/y",
        "git push https://github.com/o/r.git",
        "wget https://host.org/${item}.csv",
        "curl https://$HOST/x",
        "curl http://[bad/x",
        "curl https://host.org:99999/x",
    ],
)
def test_what_is_no_source_is_no_hint(command):
    assert uris(command) == []


@pytest.mark.parametrize(
    "command",
    [
        "wget https://ada:hunter2@host.org/a.csv",
        "wget 'https://host.org/a.csv?X-Amz-Signature=hunter2'",
        "curl -u ada:hunter2 https://host.org/a.csv#hunter2",
        "curl -H 'Authorization: hunter2' -x http://hunter2@proxy https://host.org/a.csv",
        "TOKEN=hunter2 curl https://host.org/a.csv",
    ],
)
def test_credentials_are_not_kept(command):
    (hint,) = source_hints(command)
    assert hint.uri == "https://host.org/a.csv"
    assert "hunter2" not in repr(hint)


@pytest.mark.parametrize(
    "command",
    [
        "python code/fetch.py https://www.openml.org/d/40945",
        "python3.11 scripts/download_data.py --quiet=1 https://www.openml.org/d/40945 data/",
        "./get-data.sh https://www.openml.org/d/40945",
        "Rscript fetch.R https://www.openml.org/d/40945",
    ],
)
def test_a_script_that_is_named_after_fetching_names_its_source(command):
    assert uris(command) == ["https://www.openml.org/d/40945"]


@pytest.mark.parametrize(
    "command",
    [
        "python train.py https://tracking.org/",
        "python fetch.py --tracking-uri https://tracking.org/ data/raw.csv",
        "python budget.py https://host.org/",
        "python targets.py https://host.org/",
    ],
)
def test_an_address_that_a_script_may_use_otherwise_is_no_hint(command):
    assert uris(command) == []


def test_each_source_is_named_once_and_their_number_is_bounded():
    assert uris("curl https://x.org/a && wget https://x.org/a") == ["https://x.org/a"]
    many = "; ".join(f"curl https://x.org/{number}" for number in range(500))
    assert len(source_hints(many)) == MAX_HINTS


@pytest.mark.parametrize(
    "text",
    [
        *('"', "'", "\\", "a.", "( ", "$(", "sudo -u ", "poetry run ", "bash -c ", '"\\', "a.b@", "env A=b "),
        *("curl https://x/", "kaggle c download ", "kagglehub.dataset_download(", "https://kaggle.com/c/a/", "s3://"),
    ],
)
def test_hostile_text_takes_no_time(text):
    start = time.monotonic()
    source_hints(text * (1_000_000 // len(text)))
    source_hints("git " + text * (20_000 // len(text)))
    assert time.monotonic() - start < 20


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from(" \"'\\;|&$(){}<>\n@:/.-=?#%[]abkaglehttps"), max_size=200))
def test_any_text_gives_hints_with_clean_addresses(text):
    for command in (text, "curl " + text, "curl https://h.org/" + text, "kaggle d download " + text, "dvc get " + text):
        for hint in source_hints(command):
            assert "://" in hint.uri
            assert "?" not in hint.uri
            assert hint.label.isprintable()
