"""The actions on a repository's plots."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ckan.plugins import toolkit as tk
from ckan.types import Context, DataDict

from ckanext.mlops.logic import plots
from ckanext.mlops.logic.schema import common
from ckanext.mlops.logic.schema import compare as schema
from ckanext.mlops.logic.schema.common import validated
from ckanext.mlops.model import Revision


@tk.side_effect_free
@validated(common.object_show)
def mlops_plot_list(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """The plots of a repository: ``plots:`` of its ``dvc.yaml`` files, and plots that its stages write.

    :param id: id of the repository, as in the address of its page (``titanic-3f2a9c01``)
    :type id: string

    Example::

        curl 'https://portal.example/api/3/action/mlops_plot_list?id=titanic-3f2a9c01'

    :returns: ``repository`` (``id``, ``name``, ``url``), ``plots`` (each ``name``, ``title``, ``template``, ``files``
        and ``revisions``: names of those that have it), ``revisions`` (each ``name``, ``kind``, ``commit``,
        ``committed``; branches first, then tags, each newest first) and ``hidden`` (plots that you may not see)
    :rtype: dictionary
    """
    tk.check_access("mlops_plot_list", context, data_dict)
    found = plots.of_repository(context, data_dict["id"])
    listed, having, hidden = found.listed()
    return {
        "repository": {"id": found.seen.id, "name": found.seen.name, "url": found.seen.url},
        "plots": listed,
        "revisions": [_revision(each) for each in having],
        "hidden": hidden,
    }


@tk.side_effect_free
@validated(schema.plot_show)
def mlops_plot_show(context: Context, data_dict: DataDict) -> dict[str, Any]:
    """One plot of a repository at up to ten revisions, overlaid as ``dvc plots diff`` does.

    Rows come from Git, or from the DVC remotes that this portal was told how to read.

    :param id: id of the repository
    :type id: string
    :param plot: name of the plot, as ``mlops_plot_list`` gives it
    :type plot: string
    :param revisions: names of revisions (optional, default: the newest branch that has the plot)
    :type revisions: list of strings

    Example::

        curl -G 'https://portal.example/api/3/action/mlops_plot_show' -d id=titanic-3f2a9c01 \\
          -d plot=loss.tsv -d revisions=main -d revisions=baseline

    :returns: ``plot``, ``revisions`` (each ``name``, ``kind``, ``commit``, ``committed``), ``charts`` (each ``title``,
        ``template``, ``x``, ``y``, ``spec``: Vega-Lite, with the text ``<DVC_METRIC_DATA>`` where ``rows`` belong;
        ``rows`` with ``rev``, ``revisions``, ``every``: of how many points one was taken, ``problems``), ``images``
        (each ``path`` and ``revisions``: each ``revision``, ``address`` below the portal's own, ``size``) and ``notes``
        on what is not shown (each ``revision``, ``path``, ``why``), and ``waiting``: what is large or in a storage is
        read by a worker; ask again in a moment
    :rtype: dictionary
    """
    tk.check_access("mlops_plot_show", context, data_dict)
    found = plots.of_repository(context, data_dict["id"])
    name = data_dict["plot"]
    wanted = (
        data_dict.get("revisions")
        or [each.name for each in found.revisions.values() if any(plot.name == name for plot in plots.plots_of(each))][
            :1
        ]
    )
    unknown = [each for each in wanted if each not in found.revisions]
    if unknown:
        raise tk.ObjectNotFound(tk._("No revision with plots is called {name}").format(name=unknown[0]))
    shown = found.show(name, wanted)
    return {
        "plot": name,
        "revisions": [_revision(found.revisions[each]) for each in wanted],
        "charts": [asdict(each) for each in shown.charts],
        "images": [
            {
                "path": each.path,
                "revisions": [
                    {
                        "revision": revision,
                        "size": size,
                        "address": tk.url_for(
                            "mlops_plots.image", id=found.seen.id, rev=revision, path=each.path, locale="default"
                        ),
                    }
                    for revision, size in each.revisions.items()
                ],
            }
            for each in shown.images
        ],
        "notes": [asdict(each) for each in shown.notes],
        "waiting": shown.waiting,
    }


def _revision(revision: Revision) -> dict[str, Any]:
    return {
        "name": revision.name,
        "kind": revision.kind,
        "commit": revision.commit,
        "committed": revision.committed.isoformat() + "Z" if revision.committed else None,
    }
