"""Records that a CI job sends for a repository which this portal cannot reach: kept until the next harvest reads them.

A source with the option ``push`` is not fetched: its harvests are made of what was pushed last.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan.plugins import toolkit as tk
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ckanext.mlops.core import naming
from ckanext.mlops.core.errors import ContentError, RepositoryError
from ckanext.mlops.core.received import Received, received
from ckanext.mlops.harvesting import repositories
from ckanext.mlops.model.tables import Pushed, utc_now

MAX_BYTES = 100 * 1024**2


class NotPushed(RepositoryError):
    """Nothing was pushed yet."""


@dataclass(frozen=True)
class Document:
    """A document that was checked."""

    text: str
    records: Received

    @property
    def digest(self) -> str:
        """Of its content."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def document(value: Any, url: str) -> Document:
    """The document in ``value``: JSON text, an object, or a file of it, also gzipped.

    :param url: of the source; the records must be of this repository
    :raises ContentError: it is too large, not JSON, not of the right form, or of another repository
    """
    limit = max_bytes()
    if isinstance(value, dict):
        value = json.dumps(value)
    elif hasattr(value, "read"):
        value = _unpacked(value.read(limit + 1), limit)
    text = str(value)
    if len(text) > limit:
        raise ContentError(_too_large(limit))
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise ContentError("the records are not JSON; send the output of 'ckan-mlops read --json'") from None
    records = received(data, repositories.limits())
    wanted, given = naming.repository_key(url), naming.repository_key(records.repository.url)
    if wanted != given:
        raise ContentError(f"the records are of {given}, the source is of {wanted}")
    return Document(text, records)


def max_bytes() -> int:
    """The operator's bound of a push."""
    return int(tk.config.get("ckanext.mlops.push.max_bytes") or MAX_BYTES)


def store(session: Session, source_id: str, pushed: Document, user_id: str | None) -> None:
    """Keep a document in place of the last one. The caller commits."""
    values = {
        "source_id": source_id,
        "digest": pushed.digest,
        "content": gzip.compress(pushed.text.encode(), 5),
        "user_id": user_id,
        "pushed": utc_now(),
    }
    statement = insert(Pushed).values(values)
    session.execute(statement.on_conflict_do_update(index_elements=["source_id"], set_=values))


def digest(session: Session, source_id: str) -> str:
    """Of what was pushed last.

    :raises NotPushed: nothing was
    """
    found = session.scalar(sa.select(Pushed.digest).where(Pushed.source_id == source_id))
    if found is None:
        raise NotPushed("Nothing was pushed to this source yet; run 'ckan-mlops push' where the repository is.")
    return str(found)


def load(session: Session, source_id: str) -> Received:
    """What was pushed last.

    :raises NotPushed: nothing was
    """
    content = session.scalar(sa.select(Pushed.content).where(Pushed.source_id == source_id))
    if content is None:
        raise NotPushed("Nothing was pushed to this source yet; run 'ckan-mlops push' where the repository is.")
    return received(json.loads(gzip.decompress(content)), repositories.limits())


def _unpacked(data: bytes, limit: int) -> str:
    if data[:2] == b"\x1f\x8b":
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                data = file.read(limit + 1)
        except (OSError, EOFError):
            raise ContentError("the records are not sound gzip") from None
    if len(data) > limit:
        raise ContentError(_too_large(limit))
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ContentError("the records are not UTF-8") from None


def _too_large(limit: int) -> str:
    return f"the records are larger than {limit:,} bytes (limit: ckanext.mlops.push.max_bytes)"
