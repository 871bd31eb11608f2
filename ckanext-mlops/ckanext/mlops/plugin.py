"""The CKAN plugin ``mlops``: fields, actions, pages and search of ckanext-mlops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckan import plugins as p
from ckan.authz import get_local_functions
from ckan.common import CKANConfig
from ckan.lib.plugins import DefaultTranslation
from ckan.plugins import toolkit as tk
from ckan.types import Context, Validator
from flask import Blueprint

from ckanext.mlops import (
    activity,
    cleanup,
    helpers,
    helpers_harvest,
    helpers_search,
    lineage_index,
    resource_view,
    uploaded,
    views,
)
from ckanext.mlops.logic import auth, registration, validators
from ckanext.mlops.model import lineage
from ckanext.mlops.search import document, facets, freshness, query


@tk.blanket.actions
@tk.blanket.auth_functions(auth.functions())
@tk.blanket.cli
@tk.blanket.config_declarations
class MlopsPlugin(p.SingletonPlugin, DefaultTranslation):
    """Fields for DVC data, its lineage and its MLflow runs."""

    p.implements(p.IConfigurer)
    p.implements(p.IBlueprint)
    p.implements(p.IFacets, inherit=True)
    p.implements(p.IPackageController, inherit=True)
    p.implements(p.IResourceController, inherit=True)
    p.implements(p.IResourceView, inherit=True)
    p.implements(p.ITemplateHelpers)
    p.implements(p.ITranslation)
    p.implements(p.IValidators)

    def update_config(self, config: CKANConfig) -> None:
        """Templates, assets, and what CKAN has no interface for."""
        tk.add_template_directory(config, "templates")
        tk.add_resource("assets", "mlops")
        activity.register()
        cleanup.register()
        freshness.register()

    def get_validators(self) -> dict[str, Validator]:
        """What the presets use."""
        return validators.get_validators()

    def get_helpers(self) -> dict[str, Callable[..., Any]]:
        """What the templates call."""
        modules = (helpers, helpers_harvest, helpers_search)
        return {name: found for module in modules for name, found in get_local_functions(module)}

    def get_blueprint(self) -> list[Blueprint]:
        """The pages."""
        return views.get_blueprints()

    def after_dataset_create(self, context: Context, pkg_dict: dict[str, Any]) -> None:
        """Keep the lineage index, in the transaction that creates the dataset."""
        # Nothing of a new dataset is noted yet: what says nothing costs nothing.
        if lineage.derived_from(pkg_dict):
            lineage.sync_asserted(pkg_dict)
        if any(each.get("hash") for each in pkg_dict.get("resources") or ()):
            lineage_index.sync_given(pkg_dict)
        if registration.VERSION in context:
            registration.keep_version(context["session"](), pkg_dict, context[registration.VERSION])  # type: ignore[literal-required]

    def after_dataset_update(self, context: Context, pkg_dict: dict[str, Any]) -> None:
        """Keep the lineage index, in the transaction that changes the dataset."""
        lineage.sync_asserted(pkg_dict)
        lineage_index.sync_given(pkg_dict)

    def after_resource_create(self, context: Context, resource: dict[str, Any]) -> None:
        """Have the hashes of an uploaded file computed."""
        if resource.get("url_type") == "upload":
            lineage_index.enqueue(resource["package_id"])

    def after_resource_update(self, context: Context, resource: dict[str, Any]) -> None:
        """The same."""
        self.after_resource_create(context, resource)

    def before_resource_create(self, context: Context, resource: dict[str, Any]) -> None:
        """Hash of an uploaded file."""
        uploaded.note_content(resource)

    def before_resource_update(self, context: Context, current: dict[str, Any], resource: dict[str, Any]) -> None:
        """Hash of an uploaded file."""
        uploaded.note_content(resource)

    def before_dataset_index(self, pkg_dict: dict[str, Any]) -> dict[str, Any]:
        """Our facets and words."""
        return document.index_dataset(pkg_dict)

    def before_dataset_search(self, search_params: dict[str, Any]) -> dict[str, Any]:
        """Our terms in the search box."""
        return query.before_search(search_params)

    def after_dataset_search(self, search_results: dict[str, Any], search_params: dict[str, Any]) -> dict[str, Any]:
        """Words for the values of our facets."""
        return facets.with_labels(search_results)

    def dataset_facets(self, facets_dict: dict[str, Any], package_type: str) -> dict[str, Any]:
        """Facets of the dataset search."""
        return facets_dict if package_type == "harvest" else facets.with_ours(facets_dict)

    def organization_facets(
        self, facets_dict: dict[str, Any], organization_type: str, package_type: str | None
    ) -> dict[str, Any]:
        """Facets on an organization's page."""
        return facets.with_ours(facets_dict)

    def group_facets(self, facets_dict: dict[str, Any], group_type: str, package_type: str | None) -> dict[str, Any]:
        """Facets on a group's page."""
        return facets.with_ours(facets_dict)

    def info(self) -> dict[str, Any]:
        """The lineage of a file as a view of its resource."""
        return resource_view.info()

    def can_view(self, data_dict: dict[str, Any]) -> bool:
        """Whether a resource has a lineage view."""
        return resource_view.can_view(data_dict)

    def setup_template_variables(self, context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
        """What the view and its form show."""
        return resource_view.template_variables(data_dict)

    def view_template(self, context: Context, data_dict: dict[str, Any]) -> str:
        """The view."""
        return "mlops/lineage_view.html"

    def form_template(self, context: Context, data_dict: dict[str, Any]) -> str:
        """Its form."""
        return "mlops/lineage_view_form.html"
