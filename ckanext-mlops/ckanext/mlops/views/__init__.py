"""Blueprints of the extension's pages; each module holds one noun's. Pages call actions only."""

from __future__ import annotations

from flask import Blueprint

from ckanext.mlops.views.access import mlops_access
from ckanext.mlops.views.comparison import mlops_comparison
from ckanext.mlops.views.download import mlops_download
from ckanext.mlops.views.experiments import mlops_experiments
from ckanext.mlops.views.harvest import mlops_harvest
from ckanext.mlops.views.lineage import mlops_lineage
from ckanext.mlops.views.lineage_reports import mlops_lineage_reports
from ckanext.mlops.views.link_picker import mlops_link_picker
from ckanext.mlops.views.metrics import mlops_metrics
from ckanext.mlops.views.mlflow import mlops_mlflow
from ckanext.mlops.views.mlflow_webhook import mlops_mlflow_webhook
from ckanext.mlops.views.organizations import mlops_organization
from ckanext.mlops.views.plots import mlops_plots
from ckanext.mlops.views.push_webhook import mlops_push_webhook
from ckanext.mlops.views.register import mlops_register
from ckanext.mlops.views.repositories import mlops_repository
from ckanext.mlops.views.searches import mlops_searches
from ckanext.mlops.views.similar import mlops_similar
from ckanext.mlops.views.versions import mlops_versions


def get_blueprints() -> list[Blueprint]:
    """All blueprints, for the plugin."""
    return [
        mlops_access,
        mlops_comparison,
        mlops_download,
        mlops_experiments,
        mlops_harvest,
        mlops_lineage,
        mlops_link_picker,
        mlops_lineage_reports,
        mlops_metrics,
        mlops_mlflow,
        mlops_mlflow_webhook,
        mlops_plots,
        mlops_organization,
        mlops_push_webhook,
        mlops_register,
        mlops_repository,
        mlops_searches,
        mlops_similar,
        mlops_versions,
    ]
