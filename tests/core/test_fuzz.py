"""Whatever a repository holds, the parsers answer or raise errors of ours: nothing else gets out.

Generated text and values made of DVC's own keys, so that they get past the first check; each example of the whole
reader is one commit with many broken pipelines.
"""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckanext.mlops.core import Limits, relate
from ckanext.mlops.core.documents import DocumentParser
from ckanext.mlops.core.errors import MlopsError
from ckanext.mlops.core.gitobjects import GitObject, parse_commit
from ckanext.mlops.core.hash_entries import hashed
from ckanext.mlops.core.ignore import Ignored
from ckanext.mlops.core.lfs import parse_pointer
from ckanext.mlops.core.mlflow_files import FileStore
from ckanext.mlops.core.plot_data import data_points
from ckanext.mlops.core.records import Snapshot, from_dict, to_dict
from ckanext.mlops.core.remotes import parse_config
from ckanext.mlops.core.stored import parse_manifest
from ckanext.mlops.core.tables import metrics_table, params_table
from ckanext.mlops.core.trees import _parse as parse_tree
from ckanext.mlops.core.values import ValueReader

LIMITS = Limits(generated=50, lines=1_000, yaml_nodes=10_000, value_bytes=100_000)
KEYS = [
    "stages",
    "vars",
    "cmd",
    "wdir",
    "deps",
    "outs",
    "params",
    "metrics",
    "plots",
    "artifacts",
    "datasets",
    "desc",
    "meta",
    "frozen",
    "locked",
    "always_changed",
    "foreach",
    "do",
    "matrix",
    "path",
    "md5",
    "hash",
    "size",
    "nfiles",
    "etag",
    "checksum",
    "version_id",
    "cloud",
    "files",
    "relpath",
    "remote",
    "cache",
    "push",
    "persist",
    "type",
    "labels",
    "metric",
    "plot",
    "x",
    "y",
    "template",
    "title",
    "repo",
    "url",
    "rev",
    "rev_lock",
    "db",
    "query",
    "connection",
    "dataset",
    "lock",
    "schema",
    "outside",
    "invalid_hash",
    "name",
    "a",
    "b",
    "c",
]
WORDS = [
    "train",
    "data/raw.csv",
    "..",
    "../../x",
    "/etc/passwd",
    "${a}",
    "${item}",
    "${item.b}",
    "${a.b[0]}",
    "${",
    "s3://u:p@b/x",
    "ds://a",
    "remote://r/x",
    "ext::sh",
    "true",
    "null",
    "1e5",
    "017",
    ".inf",
    "<<<<<<<",
    "a:b",
    "C:\\x",
    "params.yaml",
    "m.json",
    "2.0",
    "d41d8cd98f00b204e9800998ecf8427e.dir",
    "d41d8cd98f00b204e9800998ecf8427e",
]
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.sampled_from(WORDS),
    st.text(max_size=12),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.sampled_from(WORDS)), inner, max_size=5),
    ),
    max_leaves=25,
)
stages = st.fixed_dictionaries(
    {"stages": st.dictionaries(st.sampled_from(["train", "a", "b@c"]), values, max_size=3)},
    optional=dict.fromkeys(("vars", "metrics", "params", "plots", "artifacts", "datasets"), values),
)
# Lines that look like what DVC writes, with anything in between.
lines = st.lists(
    st.one_of(
        st.builds(
            lambda indent, dash, key, value: " " * indent + dash + key + ": " + value,
            st.integers(0, 6),
            st.sampled_from(["", "- "]),
            st.sampled_from(KEYS),
            st.one_of(
                st.sampled_from(["", "|", ">-", "&a", "*a", "!x y", "[", "{a: b}", "'", '"', *WORDS]),
                st.text(max_size=6),
            ),
        ),
        st.sampled_from(["---", "...", "%YAML 1.2", "\t", "?", "- - -", "#", "<<: *a"]),
        st.text(max_size=20),
    ),
    max_size=25,
).map("\n".join)


def text_of(value: Any) -> str:
    """As a YAML file; JSON is YAML."""
    return value if isinstance(value, str) else json.dumps(value).encode("utf-8", "replace").decode()


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.one_of(stages, values, lines), st.one_of(stages, values, lines)), min_size=20, max_size=20),
    st.lists(
        st.one_of(st.fixed_dictionaries({"outs": values}, optional={"deps": values, "cmd": values}), lines), max_size=20
    ),
    st.one_of(values, lines),
)
def test_any_pipelines_are_read(make_repo: Any, pipelines: list[Any], files: list[Any], params: Any) -> None:
    repo = make_repo(fresh=True)
    content: dict[str, str] = {
        "params.yaml": text_of(params),
        "m.json": text_of(params),
        ".dvc/config": text_of(params),
    }
    for number, (pipeline, lock) in enumerate(pipelines):
        content[f"d{number}/dvc.yaml"] = text_of(pipeline)
        content[f"d{number}/dvc.lock"] = text_of(lock)
    content.update({f"f{number}.dvc": text_of(value) for number, value in enumerate(files)})
    repo.commit({path: text.encode("utf-8", "surrogatepass") for path, text in content.items()})
    for snapshot in repo.read(limits=LIMITS):
        relate(snapshot)
        json.dumps([metrics_table([snapshot]), params_table([snapshot])], allow_nan=False)
        assert from_dict(Snapshot, json.loads(json.dumps(to_dict(snapshot), allow_nan=False))) == snapshot


@given(st.one_of(lines, st.text()))
@settings(deadline=None)
def test_any_text_is_a_document_or_an_error(text: str) -> None:
    for parse in (DocumentParser(LIMITS).parse, DocumentParser(LIMITS).parse_values):
        with contextlib.suppress(MlopsError):
            parse(text)


@pytest.mark.parametrize("path", ["p.yaml", "p.json", "p.toml", "p.py", "p.csv", "p.tsv", "p"])
@given(st.one_of(st.binary(), lines.map(lambda text: text.encode("utf-8", "replace"))))
@settings(deadline=None, max_examples=60)
def test_any_bytes_are_values_or_an_error(path: str, data: bytes) -> None:
    for parse in (ValueReader(LIMITS).read, data_points):
        with contextlib.suppress(MlopsError):
            json.dumps(parse(data, path), allow_nan=False)


@given(st.one_of(lines, st.text()))
@settings(deadline=None)
def test_any_configuration_gives_remotes_without_secrets(text: str) -> None:
    for remote in parse_config(
        text + "\n['remote \"r\"']\n url = https://u:secret-0@h/x?sig=secret-0\n"
    ).by_name.values():
        assert "secret-0" not in remote.url


@given(st.binary(), st.lists(st.text(max_size=10), max_size=5))
@settings(deadline=None)
def test_any_bytes_are_a_commit_a_tree_a_pointer_or_nothing(data: bytes, patterns: list[str]) -> None:
    parse_commit(GitObject("0" * 40, "commit", len(data), data))
    parse_commit(GitObject("0" * 40, "commit", 0, b"tree x\ncommitter " + data + b"\n\n"))
    parse_tree(b"100644 " + data, 40)
    parse_pointer(b"version https://git-lfs.github.com/spec/v1\n" + data)
    Ignored([("", "\n".join(patterns))]).hides("a/b.dvc")
    with contextlib.suppress(MlopsError):
        parse_manifest(data)


@given(st.dictionaries(st.sampled_from(KEYS), values))
def test_any_entry_has_a_hash_or_says_why_not(info: dict[str, Any]) -> None:
    found = hashed(info, LIMITS)
    assert found.hash is None or isinstance(found.hash, str)


class _Files(dict[str, bytes]):
    """A store in memory."""

    def folders(self, path: str) -> list[str]:
        return sorted({name.partition("/")[0] for name in self._below(path) if "/" in name})

    def files(self, path: str) -> list[str]:
        return sorted(name for name in self._below(path) if "/" not in name)

    def read(self, path: str, limit: int) -> bytes | None:
        return self.get(path)

    def _below(self, path: str) -> list[str]:
        prefix = f"{path}/" if path else ""
        return [name.removeprefix(prefix) for name in self if name.startswith(prefix)]


@given(
    st.lists(st.one_of(lines.map(lambda text: text.encode("utf-8", "replace")), st.binary()), min_size=6, max_size=6)
)
@settings(deadline=None, max_examples=60)
def test_any_file_store_is_read(data: list[bytes]) -> None:
    meta, run, params, metrics, tags, inputs = data
    tree = _Files(
        {
            "0/meta.yaml": b"experiment_id: '0'\nname: x\n" + meta,
            "0/r/meta.yaml": b"run_id: r\nexperiment_id: '0'\n" + run,
            "0/r/params/p": params,
            "0/r/metrics/m": metrics,
            "0/r/tags/t": tags,
            "0/r/inputs/i/meta.yaml": inputs,
        }
    )
    store = FileStore(tree, "s")
    for found in store.runs([item.experiment_id for item in store.experiments()]):
        json.dumps(to_dict(found), allow_nan=False)
