"""Actions on saved searches."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib.search import SearchQueryError
from ckan.model.types import make_uuid
from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic.reader import Reader, same_user
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import search as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.model import searches
from ckanext.mlops.model.searches import SavedSearch
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.search import saved

MAX_SEARCHES = 100
_NEWS = 10


@validated(schema.saved_search)
def mlops_saved_search_create(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Save a search, to be told when a harvest brings a new version of a dataset that it finds and you may see.

    You are told on your dashboard, and by mail unless you say no. Saving the same search again changes its name and
    ``mail``.

    :param query: what stands behind the ``?`` of the search page's address: ``q=accuracy:>0.8&vocab_role=model``
    :type query: string
    :param name: for you (optional, default: the search in words)
    :type name: string
    :param mail: whether you want a mail (optional, default: true)
    :type mail: bool

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_saved_search_create \\
          --data-urlencode 'query=q=column:Age'

    :returns: the search: ``id``, ``name``, ``query``, ``page``, ``mail``, ``created`` and ``news`` (what was found
        last, at most ten: ``dataset``, ``title``, ``page``, ``version`` and ``found``)
    :rtype: dictionary
    """
    tk.check_access("mlops_saved_search_create", context, data_dict)
    session, user = model.Session(), model.User.get(context["user"])
    if user is None:
        raise tk.NotAuthorized
    query = saved.canonical(data_dict["query"])
    reader = same_user(context)
    try:
        tk.get_action("package_search")(reader, {**saved.arguments(query), "rows": 0})
    except (tk.ValidationError, tk.ObjectNotFound, SearchQueryError) as error:
        raise tk.ValidationError({"query": [tk._("This cannot be searched for")]}) from error
    # Two at once are one after the other.
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(f"searches {user.id}", 0))))
    mine = searches.of_user(session, user.id)
    row = next((each for each in mine if each.query == query), None)
    if row is None:
        if len(mine) >= MAX_SEARCHES:
            raise tk.ValidationError({"query": [tk._("You have {n} searches: delete one first").format(n=len(mine))]})
        row = SavedSearch(id=make_uuid(), user_id=user.id, query=query, created=utc_now())
        session.add(row)
    row.name, row.mail = data_dict["name"].strip() or saved.described(query), data_dict["mail"]
    session.commit()
    return _dictize(context, [row])[0]


@tk.side_effect_free
def mlops_saved_search_list(context: Context, data_dict: DataDict) -> list[dict[str, Any]]:
    """Your saved searches, newest first, with what was found last.

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_saved_search_list

    :returns: searches, as ``mlops_saved_search_create`` gives them
    :rtype: list of dictionaries
    """
    tk.check_access("mlops_saved_search_list", context, data_dict)
    user = model.User.get(context["user"])
    return _dictize(context, searches.of_user(model.Session(), user.id)) if user else []


@validated(common.object_show)
def mlops_saved_search_delete(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """Delete a saved search of yours; you are told no more.

    :param id: id of the search
    :type id: string

    Example::

        curl -H "Authorization: $TOKEN" https://portal.example/api/3/action/mlops_saved_search_delete -d id=$ID

    :returns: ``id`` of what is gone
    :rtype: dictionary
    """
    tk.check_access("mlops_saved_search_delete", context, data_dict)
    session = model.Session()
    row = session.get(SavedSearch, data_dict["id"])
    if row is None:
        raise tk.ObjectNotFound(tk._("Saved search not found"))
    searches.delete(session, row)
    session.commit()
    return {"id": data_dict["id"]}


def _dictize(context: Context, rows: list[SavedSearch]) -> list[dict[str, Any]]:
    reader = Reader(context)
    news = searches.latest(reader.session, [each.id for each in rows], _NEWS)
    # What they may see may have changed since they were told.
    visible = reader.look([each.package_id for found in news.values() for each in found]).visible
    return [
        {
            "id": each.id,
            "name": each.name,
            "query": each.query,
            "page": f"{tk.url_for('dataset.search', qualified=True)}?{each.query}",
            "mail": each.mail,
            "created": f"{each.created:%Y-%m-%dT%H:%M:%SZ}",
            "news": [
                {
                    "dataset": reader.packages[one.package_id].name,
                    "title": reader.packages[one.package_id].title or reader.packages[one.package_id].name,
                    "page": tk.url_for("mlops_versions.index", id=reader.packages[one.package_id].name, qualified=True),
                    "version": one.version_id,
                    "found": f"{one.created:%Y-%m-%dT%H:%M:%SZ}",
                }
                for one in news.get(each.id, ())
                if one.package_id in visible
            ],
        }
        for each in rows
    ]
