"""The CKAN plugin ``mlops``: fields, actions, pages and search of ckanext-mlops."""

from __future__ import annotations

from ckan import plugins as p
from ckan.common import CKANConfig
from ckan.plugins import toolkit as tk
from ckan.types import Validator
from flask import Blueprint

from ckanext.mlops import views
from ckanext.mlops.logic import validators


@tk.blanket.actions
@tk.blanket.auth_functions
@tk.blanket.config_declarations
class MlopsPlugin(p.SingletonPlugin):
    """Fields for DVC data, its lineage and its MLflow runs."""

    p.implements(p.IConfigurer)
    p.implements(p.IBlueprint)
    p.implements(p.IValidators)

    def update_config(self, config: CKANConfig) -> None:
        """Templates and assets."""
        tk.add_template_directory(config, "templates")
        tk.add_resource("assets", "mlops")

    def get_validators(self) -> dict[str, Validator]:
        """What the presets use."""
        return validators.get_validators()

    def get_blueprint(self) -> list[Blueprint]:
        """The pages."""
        return views.get_blueprints()
