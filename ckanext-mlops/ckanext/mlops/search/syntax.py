"""What may be typed into the search box beside words: ``accuracy:>0.8 tag:v1.* column:Age 3f2a9c01``.

Pure text to Solr filters. Every value is quoted or escaped here, so nothing that a person types becomes Solr syntax.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ckanext.mlops.search.numbers import field, sortable

MAX_TERMS = 20
MIN_PREFIX = 8
_TOKEN = re.compile(r"""(?<!\S)(?P<key>[\w][\w./@-]*):(?P<compare>>=|<=|>|<|=)?(?P<value>"[^"]*"|[^\s"]+)(?=\s|$)""")
_HEX = re.compile(rf"(?<!\S)(?P<hash>[0-9a-fA-F]{{{MIN_PREFIX},64}})(\.dir)?(?!\S)")
_LUCENE = re.compile(r"(?<!\S)(AND|OR|NOT)(?!\S)|&&|\|\||\(|\{!")  # a query in Solr's own language
_SPECIAL = re.compile(r'([+\-&|!(){}\[\]^"~*?:\\/<>=\s])')
#: word → Solr fields of which one must begin with the value
_PREFIXES = {"hash": ("vocab_hash",), "commit": ("vocab_commit",), "run": ("vocab_run",)}
#: word → Solr fields of which one must be the value; ``*`` stands for anything
_NAMES = {
    "alias": ("vocab_alias",),
    "branch": ("vocab_ref",),
    "column": ("vocab_column",),
    "experiment": ("vocab_experiment",),
    "kind": ("vocab_role",),
    "label": ("vocab_label",),
    "model": ("vocab_model",),
    "ref": ("vocab_ref",),
    "remote": ("vocab_remote",),
    "repository": ("vocab_repository",),
    "stage": ("vocab_dvc_stage",),
    "tag": ("vocab_ref",),
}
#: Fields of CKAN and its schema keep their meaning.
_CKANS = frozenset(
    {
        "author", "author_email", "capacity", "ckan_url", "creator_user_id", "data_dict", "dataset_type",
        "download_url", "entity_type", "groups", "id", "index_id", "isopen", "license", "license_id", "license_title",
        "maintainer", "maintainer_email", "metadata_created", "metadata_modified", "name", "name_ngram", "notes",
        "num_resources", "num_tags", "organization", "owner_org", "permission_labels", "private", "res_description",
        "res_format", "res_name", "res_type", "res_url", "site_id", "state", "tags", "text", "title", "title_ngram",
        "title_string", "type", "url", "urls", "validated_data_dict", "version", "views_recent", "views_total",
    }
)  # fmt: skip
_OWN = ("extras_", "res_extras_", "vocab_", "mlops_", "ext_", "_")


@dataclass(frozen=True)
class Parsed:
    """A query taken apart.

    :param text: what is left for Solr's own search
    :param filters: Solr filter queries, all of which must hold
    :param sort: Solr's ``sort`` that the query asks for: best first, where it compares a metric; else ``""``
    :param numbers: names that were compared, in order
    :param commits: beginnings of commits, with the places of their filters: branches that are there now may be meant
    """

    text: str
    filters: tuple[str, ...] = ()
    sort: str = ""
    numbers: tuple[str, ...] = ()
    commits: tuple[tuple[int, str], ...] = ()


def parse(query: str) -> Parsed:
    """Take our terms out of what a person typed; everything else stays as it is, and so does all of a Lucene query."""
    if _LUCENE.search(query):
        return Parsed(query)
    filters: list[str] = []
    sort: list[str] = []
    numbers: list[str] = []
    commits: list[tuple[int, str]] = []

    def term(match: re.Match[str]) -> str:
        if len(filters) >= MAX_TERMS:
            return match[0]
        key, compare, value = match["key"], match["compare"] or "", match["value"].strip('"')
        found = _compared(key, compare, value) if compare else _named(key, value)
        if not found:
            return match[0]
        filters.append(found)
        if key == "commit" and not compare:
            commits.append((len(filters) - 1, value.lower()))
        if compare in (">", ">=", "<", "<="):
            numbers.append(key)
            sort.append(f"{field(key)} {'desc' if compare[0] == '>' else 'asc'}")
        return " "

    def content(match: re.Match[str]) -> str:
        if len(filters) >= MAX_TERMS:
            return match[0]
        value = match["hash"].lower()
        fields = [f"{name}:{value}*" for names in _PREFIXES.values() for name in names]
        filters.append(" OR ".join([*fields, f"text:{value}"]))
        commits.append((len(filters) - 1, value))
        return " "

    rest = _HEX.sub(content, _TOKEN.sub(term, query))
    text = " ".join(rest.split()) if filters else query
    return Parsed(text, tuple(filters), ", ".join(sort[:1]), tuple(dict.fromkeys(numbers)), tuple(commits))


def shown_by(repository: str, name: str) -> str:
    """The filter of what a branch or tag of a repository shows."""
    return f'(mlops_repository:"{_quoted(repository)}" AND vocab_ref:"{_quoted(name)}")'


def _compared(key: str, compare: str, value: str) -> str:
    try:
        digits = sortable(float(value))
    except ValueError:
        return ""
    low, high = ("[", "]") if compare.endswith("=") else ("{", "}")
    spans = {">": f"{low}{digits} TO *]", "<": f"[* TO {digits}{high}", "=": f"[{digits} TO {digits}]"}
    return f"{field(key)}:{spans[compare[0]]}"


def _named(key: str, value: str) -> str:
    """The filter of ``key:value``; ``""`` where it is none of ours."""
    if key in _PREFIXES:
        start = value.lower().removesuffix(".dir")
        return " OR ".join(f"{name}:{_wild(start)}*" for name in _PREFIXES[key]) if start else ""
    if key in _NAMES:
        return " OR ".join(f"{name}:{_wild(value)}" for name in _NAMES[key])
    if key == "path":
        path = _wild(value.strip("/"))
        return f"vocab_path:{path} OR vocab_path:*\\/{path} OR vocab_path:{path}\\/*" if path else ""
    if key == "command":
        return f'extras_dvc_command:"{_quoted(value)}"'
    if key in _CKANS or key.startswith(_OWN) or value.startswith(("//", "[", "{", "(", "*")):
        return ""
    # Other plugins' fields keep working: theirs, or a param of that name and value.
    choices = [f'{_escaped(key)}:"{_quoted(value)}"', f'vocab_param:"{_quoted(f"{key}={value}")}"']
    try:
        digits = sortable(float(value))
    except ValueError:
        pass
    else:
        choices.append(f"{field(key)}:[{digits} TO {digits}]")
    return " OR ".join(choices)


def _wild(value: str) -> str:
    """``value`` with every special character escaped but ``*``."""
    return "*".join(_escaped(part) for part in value.split("*"))


def _escaped(value: str) -> str:
    return _SPECIAL.sub(r"\\\1", value)


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')
