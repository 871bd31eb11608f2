"""What a reader looks at: the whole state of a lineage page is its address, so it can be sent, and "back" works."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

Side = Literal["upstream", "downstream"]
MAX_OPENED = 150
_QUERY = ("direction", "depth", "level", "at", "against", "sort", "nodes", "expand", "fold", "node")
_SIDES: dict[str, Side] = {"u": "upstream", "d": "downstream"}
_OPENED = re.compile(r"([ud])([A-Za-z0-9_-]{8})")


@dataclass(frozen=True, slots=True)
class Opened:
    """One side of a node, by :func:`node_key`."""

    side: Side
    key: str

    def __str__(self) -> str:
        return f"{self.side[0]}{self.key}"


@dataclass(frozen=True, slots=True)
class State:
    """The query of a lineage page. Values are as they were sent: the action refuses what makes no sense.

    :param at: branch, tag, commit or date; ``""`` for now
    :param against: compare with it: the graph as of ``against``, and what changed until ``at``
    :param sort: column of the tables of steps, ``-`` in front for descending; ``nodes`` is that of the table of nodes
    :param expand: sides of nodes that were opened beyond the depth, in the order in which they were
    :param fold: sides of nodes that were closed
    :param node: key of the node whose details are open
    :param own: what the page shows when its address says nothing, where that differs from the defaults here
    """

    direction: str = "both"
    depth: str = "5"
    level: str = "datasets"
    at: str = ""
    against: str = ""
    sort: str = ""
    nodes: str = ""
    expand: tuple[Opened, ...] = ()
    fold: tuple[Opened, ...] = ()
    node: str = ""
    own: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, query: Mapping[str, str], **own: str) -> State:
        """The state that a page's query gives; ``own`` are the page's own defaults."""
        given = own | {name: query[name].strip() for name in _QUERY if query.get(name, "").strip()}
        opened = {name: _opened(given.pop(name, "")) for name in ("expand", "fold")}
        return cls(**given, **opened, own=tuple(own.items()))  # type: ignore[arg-type]

    def query(self, **changes: Any) -> dict[str, str]:
        """The query that gives this state on its page, with some of it changed; defaults are left out."""
        state = replace(self, **changes)
        values = {name: getattr(state, name) for name in _QUERY}
        texts = {name: value if isinstance(value, str) else ".".join(map(str, value)) for name, value in values.items()}
        defaults = {each.name: each.default for each in fields(state)} | dict(state.own)
        return {name: text for name, text in texts.items() if text and text != defaults[name]}

    def full_query(self) -> dict[str, str]:
        """The query that gives this state anywhere."""
        return replace(self, own=()).query()

    def sorted_by(self, column: str, table: str = "sort") -> dict[str, str]:
        """The query that sorts a table by a column; by the same column again: the other way round."""
        return self.query(**{table: f"-{column}" if getattr(self, table) == column else column})

    def opened(self, key: str, side: Side) -> tuple[Opened, ...]:
        """``expand`` with one more side of a node."""
        return tuple(dict.fromkeys((*self.expand, Opened(side, key))))

    def unfolded(self, key: str, side: Side) -> tuple[Opened, ...]:
        """``fold`` without one side of a node."""
        return tuple(each for each in self.fold if each != Opened(side, key))


def node_key(node_id: str) -> str:
    """Eight characters for a node: an address holds hundreds of them."""
    return base64.urlsafe_b64encode(hashlib.blake2b(node_id.encode(), digest_size=6).digest()).decode()


def _opened(text: str) -> tuple[Opened, ...]:
    found = [_OPENED.fullmatch(each) for each in text.split(".")[:MAX_OPENED]]
    return tuple(dict.fromkeys(Opened(_SIDES[each[1]], each[2]) for each in found if each))
