"""Files of a repository, parsed: each distinct one once, and again when it was forgotten."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from typing import Any, Literal

from .documents import Block, Document, DocumentParser
from .errors import ContentError
from .gitobjects import GitObject, GitObjects
from .limits import Limits
from .memo import Memo
from .values import ValueReader, decode

_Kind = Literal["text", "lock", "yaml"]


def is_text(name: str) -> bool:
    """Whether a file of the root folder is a README or a licence."""
    return name.lower().startswith(("readme", "licen", "copying")) and not name.endswith(".dvc")


class FileReader:
    """Reads DVC files and values files. What is wrong with a file is an answer like any other."""

    def __init__(self, objects: GitObjects, limits: Limits) -> None:
        self.objects = objects
        self.limits = limits
        self._documents = DocumentParser(limits)
        self._value_reader = ValueReader(limits)
        # One blob can be an empty .dvcignore here and an empty dvc.yaml there: the kind belongs to the key.
        self._parsed: Memo[tuple[_Kind, str], Document | ContentError] = Memo(64)
        self._texts: Memo[str, str] = Memo(64)
        self._values: Memo[tuple[str, str], tuple[Any] | ContentError] = Memo(512)

    def memory(self) -> list[Memo[Any, Any]]:
        """The memos that a warm start fills."""
        return [self._documents.blocks, self._value_reader.blocks, self._parsed, self._texts, self._values]

    def reserve(self, stages: int, values: int) -> None:
        """Make room for what one snapshot needs until the next one asks for it."""
        self._documents.blocks.reserve(2 * stages)
        self._values.reserve(2 * values)

    def load(self, files: Iterable[tuple[str, str]], most: int) -> None:
        """Read and parse ``(path, object id)`` together.

        :param most: files of the largest revision among them
        """
        wanted = {oid: path for path, oid in files if self._parsed.get((_kind(path), oid)) is None}
        self._parsed.reserve(2 * most + len(wanted))
        for blob in self.objects.read(wanted, self.limits.dvc_bytes):
            path = wanted[blob.oid]
            self._parsed[(_kind(path), blob.oid)] = self._parse(blob, path)

    def document(self, oid: str, path: str) -> Document | ContentError:
        """A DVC file, or the text of another one as ``top``."""
        key = (_kind(path), oid)
        found = self._parsed.get(key)
        if found is None:
            (blob,) = self.objects.read([oid], self.limits.dvc_bytes)
            found = self._parse(blob, path)
            self._parsed[key] = found
        return found

    def text(self, oid: str, path: str) -> str:
        """The text of a YAML file.

        :raises ContentError: it is not readable
        """
        text = self._texts.get(oid)
        if text is None:
            (blob,) = self.objects.read([oid], self.limits.dvc_bytes)
            text = decode(self._data(blob, "dvc_bytes"))
            self._texts[oid] = text
        return text

    def load_values(self, files: Iterable[tuple[str, str]]) -> None:
        """Read and parse values files ``(object id, path)`` together."""
        wanted = {oid: path for oid, path in files if self._values.get((oid, _suffix(path))) is None}
        self._values.reserve(len(wanted))
        for blob in self.objects.read(wanted, self.limits.value_bytes):
            path = wanted[blob.oid]
            self._values[(blob.oid, _suffix(path))] = self._parse_values(blob, path)

    def values(self, oid: str, path: str) -> Any:
        """Parsed values of a params or metrics file.

        :raises ContentError: it is not readable
        """
        key = (oid, _suffix(path))
        value = self._values.get(key)
        if value is None:
            (blob,) = self.objects.read([oid], self.limits.value_bytes)
            value = self._parse_values(blob, path)
            self._values[key] = value
        if isinstance(value, ContentError):
            raise value
        return value[0]

    def _parse(self, blob: GitObject, path: str) -> Document | ContentError:
        kind = _kind(path)
        try:
            data = self._data(blob, "dvc_bytes")
            if kind == "text":
                return Document(data.decode("utf-8", "replace"))
            text = decode(data)
            document = self._documents.parse(text)
        except ContentError as error:
            return error
        if posixpath.basename(path) == "dvc.yaml":
            self._texts[blob.oid] = text
        if kind == "lock" and isinstance(document.top, dict) and not document.stages and "schema" not in document.top:
            # Schema 1.0: the stages are the top.
            return Document({}, {str(name): Block(value) for name, value in document.top.items()})
        return document

    def _parse_values(self, blob: GitObject, path: str) -> tuple[Any] | ContentError:
        try:
            return (self._value_reader.read(self._data(blob, "value_bytes"), path),)
        except ContentError as error:
            return error

    def _data(self, blob: GitObject, limit: Literal["dvc_bytes", "value_bytes"]) -> bytes:
        if blob.kind == "blob":
            return blob.data
        if blob.kind == "large":
            most = getattr(self.limits, limit)
            raise ContentError(
                f"is {blob.size} bytes, more than {most} (limit: {limit})", remedy="split it, or raise the limit"
            )
        if blob.kind == "missing" and self.objects.partial:
            raise ContentError("was left on the server because of its size", remedy="raise the size limit of mirrors")
        raise ContentError(f"its Git object {blob.oid[:12]} is {blob.kind}", remedy="fetch the repository anew")


def _kind(path: str) -> _Kind:
    name = posixpath.basename(path)
    if name == "dvc.lock":
        return "lock"
    if path.endswith(".dvc/config") or name in (".dvcignore", ".gitattributes") or is_text(name):
        return "text"
    return "yaml"


def _suffix(path: str) -> str:
    return posixpath.splitext(path)[1].lower()
