"""Tell people of new versions: of what their saved searches find, and of datasets that they follow. A worker's job.

Begun after each harvest; what was done is known by who was told of which version (:class:`Notice`), so that a job which
is killed, or runs twice, tells nobody twice and forgets nobody.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, cast

import sqlalchemy as sa
from ckan import model
from ckan import plugins as p
from ckan.lib import mailer
from ckan.plugins import toolkit as tk
from ckan.types import Context
from sqlalchemy.orm import Session

from ckanext.mlops import activity
from ckanext.mlops.catalog.text import line
from ckanext.mlops.logic.reader import Reader
from ckanext.mlops.model import link_hints, searches
from ckanext.mlops.model.searches import SavedSearch
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.search import saved

log = logging.getLogger(__name__)
_SCOPE = "news"
#: A version is first seen before the transaction that writes it ends.
_OVERLAP = datetime.timedelta(hours=1)
_BEGINNING = datetime.datetime(1970, 1, 1)  # noqa: DTZ001 naive UTC, as CKAN stores it
_IDS = 200
_LISTED = 20
_PEOPLE = 100
_JOB_SECONDS = 3600
Clock = Callable[[], datetime.datetime]


def enqueue() -> None:
    """Let a worker tell people, if there is anybody to tell."""
    if searches.any_wanted(model.Session()):
        tk.enqueue_job(job, title="Tell people of new versions", rq_kwargs={"timeout": _JOB_SECONDS})


def enqueue_missed() -> None:
    """The same, when versions are there of which nobody was told: the queue may have been lost."""
    session = model.Session()
    last = link_hints.mark(session, _SCOPE)
    if searches.new_versions(session, last.at if last else _BEGINNING):
        enqueue()


def job() -> None:
    """Tell people, in a job worker."""
    try:
        told = tell(model.Session())
        log.info("%d notices of new versions, %d mails", told, mail_due())
    finally:
        model.Session.remove()


def tell(session: Session, clock: Clock = utc_now) -> int:
    """Write notices and entries of dashboards; how many notices. Commits person by person."""
    began = clock()
    last = link_hints.mark(session, _SCOPE)
    new = searches.new_versions(session, last.at - _OVERLAP if last else _BEGINNING)
    number = 0
    if new:
        for search, user in searches.wanting(session):
            since = search.created
            fresh = [key for key, (_, seen) in new.items() if seen > since]
            hits = [key for group in _groups(fresh) for key in _found(user, search, group)]
            number += _note(session, user, search, {key: new[key][0] for key in hits}, clock())
        for user_id, datasets in searches.following(session, list(new)).items():
            follower = session.get_one(model.User, user_id)
            visible = Reader(_context(follower)).look(list(datasets)).visible
            fresh = [key for key in visible if new[key][1] > datasets[key]]
            number += _note(session, follower, None, {key: new[key][0] for key in fresh}, clock())
    link_hints.set_mark(session, _SCOPE, "", began)
    session.commit()
    return number


def mail_due() -> int:
    """Mail what is due, one mail a person; how many were sent. Each is tried once."""
    session = model.Session()
    number = 0
    while due := searches.due(session, _PEOPLE):
        for user_id, notices in due.items():
            for each in notices:
                each.mailed = utc_now()
            wanted = [each for each in notices if each.search_id is not None]
            user = session.scalar(sa.select(model.User).where(model.User.id == user_id, model.User.state == "active"))
            names = {key: row.name for key in {each.search_id for each in wanted} if (row := _search(session, key))}
            # What they may see may have changed since.
            reader = Reader(_context(user)) if user is not None else None
            ids = [each.package_id for each in wanted if each.search_id in names]
            visible = reader.look(ids).visible if reader else frozenset()
            session.flush()
            if user is not None and reader and visible:
                shown = [(names[str(each.search_id)], reader.packages[each.package_id]) for each in wanted
                         if each.search_id in names and each.package_id in visible]  # fmt: skip
                number += _send(user, shown)
        session.commit()
    return number


def _search(session: Session, search_id: str | None) -> SavedSearch | None:
    return session.get(SavedSearch, search_id) if search_id else None


def _found(user: model.User, search: SavedSearch, ids: list[str]) -> set[str]:
    try:
        return saved.found(user, search.query, ids)
    except Exception:  # of a plugin's field that is gone, or Solr; the others are told nevertheless
        log.exception("Saved search %s cannot be searched", search.id)
        return set()


def _note(session: Session, user: model.User, search: SavedSearch | None, hits: dict[str, str],
          now: datetime.datetime) -> int:  # fmt: skip
    mail = search is not None and search.mail and bool(user.email)
    rows = [
        {
            "user_id": user.id,
            "version_id": version,
            "package_id": package,
            "search_id": search.id if search else None,
            "created": now,
            "mailed": None if mail else now,
        }
        for package, version in sorted(hits.items())
    ]
    told = sorted(searches.note(session, rows))
    if told:
        _record(session, user, search, told)
    session.commit()
    return len(told)


def _record(session: Session, user: model.User, search: SavedSearch | None, packages: list[str]) -> None:
    """An entry of the person's own dashboard, which nobody else sees; names are looked up when it is shown."""
    if not p.plugin_loaded("activity"):
        return
    data: dict[str, Any] = {"datasets": packages[:_LISTED], "count": len(packages)}
    if search is not None:
        data |= {"search": search.name, "query": search.query}
    tk.get_action("activity_create")(
        cast(Context, {"ignore_auth": True, "defer_commit": True, "session": session}),
        {
            "user_id": user.id,
            "object_id": user.id,
            "activity_type": activity.NEW_VERSIONS,
            "data": data,
            "permission_labels": [f"creator-{user.id}"],
        },
    )


def _send(user: model.User, shown: list[tuple[str, Any]]) -> int:
    by_search: dict[str, dict[str, Any]] = {}
    for name, package in shown:
        by_search.setdefault(name, {})[package.id] = package
    lines: list[str] = []
    for name, packages in by_search.items():
        lines += [line(tk._("Your saved search {name} found new versions:").format(name=name)), ""]
        for each in list(packages.values())[:_LISTED]:
            address = tk.url_for("mlops_versions.index", id=each.name, qualified=True)
            lines += [f"- {line(each.title or each.name, 200)}", f"  {address}"]
        if len(packages) > _LISTED:
            lines.append(tk._("{n} more").format(n=len(packages) - _LISTED))
        lines.append("")
    lines += [tk._("Your saved searches:"), tk.url_for("mlops_searches.index", qualified=True), ""]
    title = tk.config.get("ckan.site_title")
    subject = line(f"{title}: " + tk._("new versions for your saved searches"), 200)
    try:
        mailer.mail_user(user, subject, "\n".join(lines))
    except Exception:  # of a portal whose mail is not configured CKAN raises what comes
        log.exception("User %s could not be mailed about new versions", user.name)
        return 0
    return 1


def _context(user: model.User) -> Context:
    return cast(Context, {"user": user.name, "auth_user_obj": user, "session": model.Session})


def _groups(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(ids)
    while group := list(islice(rest, _IDS)):
        yield group
