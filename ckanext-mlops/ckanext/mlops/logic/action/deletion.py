"""CKAN's own deletion of datasets, which can be refused while something depends on them."""

from __future__ import annotations

from typing import Any

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Action, Context, DataDict

from ckanext.mlops.logic import dependents


@tk.chained_action
def package_delete(original: Action, context: Context, data_dict: DataDict) -> Any:
    """As CKAN's, but refused while a live dataset or a run uses the dataset, where the configuration says so."""
    if tk.config[dependents.REFUSE]:
        tk.check_access("package_delete", context, data_dict)
        package = model.Package.get(data_dict.get("id", ""))
        found = dependents.of(context, package.id) if package is not None else None
        if found:
            message = tk._("{used}: this portal keeps what is used. Ask their owners first (Lineage, used for).")
            raise tk.ValidationError({"id": [message.format(used=found.sentence())]})
    return original(context, data_dict)
