"""Addresses that a person can open: the page of a file at a commit, on the hosts whose page layout is known."""

from __future__ import annotations

import re
from urllib.parse import quote

from ckanext.mlops.core.naming import repository_key

# Host (or a label of it) and the page of a file there; layouts are those of the services' own "permalink" buttons.
_PAGES = (
    (re.compile(r"^(www\.)?github\."), "https://{base}/blob/{commit}/{path}"),
    (re.compile(r"(^|\.)gitlab\."), "https://{base}/-/blob/{commit}/{path}"),
    (re.compile(r"^(www\.)?bitbucket\.org$"), "https://{base}/src/{commit}/{path}"),
    (re.compile(r"^(codeberg\.org|(.*\.)?(gitea|forgejo)\.)"), "https://{base}/src/commit/{commit}/{path}"),
)


def is_local(url: str) -> bool:
    """Whether the repository is a folder or bundle of the portal's own machine."""
    return repository_key(url).startswith("file://")


def repository_page(url: str) -> str:
    """Where a browser finds the repository; ``""`` when nowhere (a local folder)."""
    if is_local(url):
        return ""
    scheme = "http" if url.startswith("http://") else "https"
    return f"{scheme}://{_quoted(repository_key(url))}"


def file_page(url: str, commit: str, path: str) -> str:
    """The page of ``path`` at ``commit``; on a host of unknown layout the repository's page."""
    key = repository_key(url)
    host = key.split("/", 1)[0].split(":", 1)[0]
    if not is_local(url) and commit and path:
        for pattern, page in _PAGES:
            if pattern.search(host):
                return page.format(base=_quoted(key), commit=commit, path=_quoted(path))
    return repository_page(url)


def import_uri(url: str, path: str) -> str:
    """One name for ``path`` in another repository, however that repository's URL is written."""
    return f"{repository_page(url) or repository_key(url)}#{_quoted(path)}"


def _quoted(text: str) -> str:
    return quote(text, safe="/:@+,=~-._")
