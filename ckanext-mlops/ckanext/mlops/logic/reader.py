"""What a reader may see: many datasets at once, by the rule that CKAN itself goes by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, cast

import sqlalchemy as sa
from ckan import authz, model
from ckan.lib.plugins import DefaultPermissionLabels, get_permission_labels
from ckan.plugins import toolkit as tk
from ckan.types import Context

from ckanext.mlops.model.closure import Seen
from ckanext.mlops.model.lineage import texts

_TABLE = model.package_table.c


def context_of_request() -> Context:
    """Who asks for this page: a person, or nobody."""
    user = tk.current_user
    found = {"user": user.name, "auth_user_obj": user} if user.is_authenticated else {"user": "", "auth_user_obj": None}
    return cast(Context, {"session": model.Session, **found})


class Package(NamedTuple):
    """What CKAN's own rule, and whoever names a dataset, asks of it."""

    id: str
    name: str
    title: str | None
    type: str
    state: str
    private: bool
    owner_org: str | None
    creator_user_id: str | None


def labels(context: Context) -> list[str] | None:
    """CKAN's permission labels of the user of ``context``: who has one of a dataset's may see it. None sees all."""
    if context.get("ignore_auth") or authz.is_sysadmin(context.get("user")):
        return None
    return list(get_permission_labels().get_user_dataset_labels(context.get("auth_user_obj")))


def same_user(context: Context) -> Context:
    """A context of its own for another action that the user of ``context`` calls: actions leave things in theirs."""
    return cast(Context, {key: context[key] for key in ("user", "auth_user_obj") if key in context})


class Reader:
    """Tells which datasets the user of ``context`` may see, many at once, by CKAN's permission labels.

    These decide in ``package_show`` and in the search as well, so a plugin that changes them changes all three.
    Datasets that were looked at and may be seen stay in ``packages``: what has the fields of :class:`Package`.
    """

    def __init__(self, context: Context) -> None:
        self.session = context["session"]()
        self.packages: dict[str, Any] = {}
        self._hidden: set[str] = set()
        rules = get_permission_labels()
        # CKAN's own rule needs some columns only; a plugin's may ask for anything of the package.
        self._whole = getattr(type(rules), "get_dataset_labels", None) is not DefaultPermissionLabels.get_dataset_labels
        self._labels_of: Callable[[Any], Iterable[str]] = rules.get_dataset_labels
        known = labels(context)
        self._labels = None if known is None else set(known)

    @property
    def sees_all(self) -> bool:
        """Whether nothing is hidden from the user."""
        return self._labels is None

    def look(self, ids: Sequence[str]) -> Seen:
        """The live ones of the datasets ``ids``: visible or hidden. Each is looked at once."""
        asked = set(ids)
        fresh = asked - self.packages.keys() - self._hidden
        if fresh:
            # Of the table, not of the class: thousands of rows take half the time without SQLAlchemy's object loading.
            what: Any = (model.Package,) if self._whole else [_TABLE[name] for name in Package._fields]
            query = sa.select(*what).where(_TABLE.id == sa.any_(texts(fresh)), _TABLE.state == "active")
            rows: Iterable[Any] = (
                self.session.scalars(query) if self._whole else map(Package._make, self.session.execute(query))
            )
            for row in rows:
                if self._labels is None or not self._labels.isdisjoint(self._labels_of(row)):
                    self.packages[row.id] = row
                else:
                    self._hidden.add(row.id)
        return Seen(frozenset(asked & self.packages.keys()), frozenset(asked & self._hidden))

    def visible(self, ids: Iterable[str]) -> list[str]:
        """Those of the datasets that the reader may see, in order."""
        wanted = sorted(set(ids))
        seen = self.look(wanted).visible if wanted else frozenset()
        return [each for each in wanted if each in seen]
