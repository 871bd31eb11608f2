"""The CKAN plugin ``mlops``: fields, actions, pages and search of ckanext-mlops."""

from __future__ import annotations

from typing import Any

from ckan import plugins as p
from ckan.common import CKANConfig
from ckan.plugins import toolkit as tk
from ckan.types import Context, Validator
from flask import Blueprint

from ckanext.mlops import activity, cleanup, indexing, views
from ckanext.mlops.logic import validators
from ckanext.mlops.model import lineage


@tk.blanket.actions
@tk.blanket.auth_functions
@tk.blanket.cli
@tk.blanket.config_declarations
@tk.blanket.helpers
class MlopsPlugin(p.SingletonPlugin):
    """Fields for DVC data, its lineage and its MLflow runs."""

    p.implements(p.IConfigurer)
    p.implements(p.IBlueprint)
    p.implements(p.IFacets, inherit=True)
    p.implements(p.IPackageController, inherit=True)
    p.implements(p.IValidators)

    def update_config(self, config: CKANConfig) -> None:
        """Templates, assets, and what CKAN has no interface for."""
        tk.add_template_directory(config, "templates")
        tk.add_resource("assets", "mlops")
        activity.register()
        cleanup.register()

    def get_validators(self) -> dict[str, Validator]:
        """What the presets use."""
        return validators.get_validators()

    def get_blueprint(self) -> list[Blueprint]:
        """The pages."""
        return views.get_blueprints()

    def after_dataset_create(self, context: Context, pkg_dict: dict[str, Any]) -> None:
        """Keep the lineage index, in the transaction that creates the dataset."""
        lineage.sync_asserted(pkg_dict)

    def after_dataset_update(self, context: Context, pkg_dict: dict[str, Any]) -> None:
        """Keep the lineage index, in the transaction that changes the dataset."""
        lineage.sync_asserted(pkg_dict)

    def before_dataset_index(self, pkg_dict: dict[str, Any]) -> dict[str, Any]:
        """Our facets and words."""
        return indexing.index_dataset(pkg_dict)

    def dataset_facets(self, facets_dict: dict[str, Any], package_type: str) -> dict[str, Any]:
        """Facets of the dataset search."""
        return facets_dict if package_type == "harvest" else facets_dict | _facet_titles()

    def organization_facets(
        self, facets_dict: dict[str, Any], organization_type: str, package_type: str | None
    ) -> dict[str, Any]:
        """Facets on an organization's page."""
        return facets_dict | _facet_titles()

    def group_facets(self, facets_dict: dict[str, Any], group_type: str, package_type: str | None) -> dict[str, Any]:
        """Facets on a group's page."""
        return facets_dict | _facet_titles()


def _facet_titles() -> dict[str, str]:
    return {"vocab_repository": tk._("Repository"), "vocab_dvc_kind": tk._("Kind"), "vocab_dvc_stage": tk._("Stage")}
