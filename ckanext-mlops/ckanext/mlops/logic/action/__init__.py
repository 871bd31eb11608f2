"""All actions; each module holds those of one noun."""

from ckanext.mlops.logic.action.access import mlops_access_ask, mlops_access_decide, mlops_access_list
from ckanext.mlops.logic.action.compare import mlops_compare
from ckanext.mlops.logic.action.contents import mlops_content_check, mlops_content_find, mlops_profile_show
from ckanext.mlops.logic.action.datasets import mlops_dataset_load, mlops_file_append
from ckanext.mlops.logic.action.deletion import package_delete
from ckanext.mlops.logic.action.fields import mlops_field_list, mlops_field_restore, mlops_field_take
from ckanext.mlops.logic.action.files import mlops_audit_list, mlops_file_list, mlops_recipe_show
from ckanext.mlops.logic.action.harvest import (
    mlops_harvest_approve,
    mlops_harvest_preview,
    mlops_harvest_reject,
    mlops_harvest_report,
    mlops_harvest_revert,
    mlops_preview_create,
    mlops_preview_show,
)
from ckanext.mlops.logic.action.lineage import mlops_lineage_show
from ckanext.mlops.logic.action.lineage_queries import (
    mlops_lineage_coverage,
    mlops_lineage_diff,
    mlops_lineage_impact,
    mlops_lineage_path,
)
from ckanext.mlops.logic.action.link_hints import (
    mlops_link_hint_accept,
    mlops_link_hint_dismiss,
    mlops_link_hint_list,
)
from ckanext.mlops.logic.action.links import (
    mlops_link_create,
    mlops_link_create_many,
    mlops_link_delete,
    mlops_link_list,
    mlops_link_show,
    mlops_link_update,
)
from ckanext.mlops.logic.action.metrics import mlops_repository_metrics
from ckanext.mlops.logic.action.mlflow import mlops_mlflow_sync, mlops_run_list, mlops_server_list
from ckanext.mlops.logic.action.models import (
    mlops_experiment_list,
    mlops_experiment_show,
    mlops_leaderboard,
    mlops_link_target_list,
    mlops_model_lineage,
    mlops_model_list,
    mlops_run_search,
)
from ckanext.mlops.logic.action.organizations import mlops_organization_health
from ckanext.mlops.logic.action.overview import mlops_overview
from ckanext.mlops.logic.action.plots import mlops_plot_list, mlops_plot_show
from ckanext.mlops.logic.action.push import mlops_repository_push
from ckanext.mlops.logic.action.registrations import (
    mlops_dataset_register,
    mlops_registration_create,
    mlops_registration_show,
    mlops_source_add,
)
from ckanext.mlops.logic.action.repositories import mlops_ref_list, mlops_repository_show
from ckanext.mlops.logic.action.search import mlops_dataset_similar, mlops_search_suggest
from ckanext.mlops.logic.action.searches import (
    mlops_saved_search_create,
    mlops_saved_search_delete,
    mlops_saved_search_list,
)
from ckanext.mlops.logic.action.versions import (
    mlops_file_diff,
    mlops_version_diff,
    mlops_version_list,
    mlops_version_show,
)

__all__ = [
    "mlops_access_ask",
    "mlops_access_decide",
    "mlops_access_list",
    "mlops_audit_list",
    "mlops_compare",
    "mlops_content_check",
    "mlops_content_find",
    "mlops_dataset_load",
    "mlops_dataset_register",
    "mlops_dataset_similar",
    "mlops_experiment_list",
    "mlops_experiment_show",
    "mlops_field_list",
    "mlops_field_restore",
    "mlops_field_take",
    "mlops_file_append",
    "mlops_file_diff",
    "mlops_file_list",
    "mlops_harvest_approve",
    "mlops_harvest_preview",
    "mlops_harvest_reject",
    "mlops_harvest_report",
    "mlops_harvest_revert",
    "mlops_leaderboard",
    "mlops_lineage_coverage",
    "mlops_lineage_diff",
    "mlops_lineage_impact",
    "mlops_lineage_path",
    "mlops_lineage_show",
    "mlops_link_create",
    "mlops_link_create_many",
    "mlops_link_delete",
    "mlops_link_hint_accept",
    "mlops_link_hint_dismiss",
    "mlops_link_hint_list",
    "mlops_link_list",
    "mlops_link_show",
    "mlops_link_target_list",
    "mlops_link_update",
    "mlops_mlflow_sync",
    "mlops_model_lineage",
    "mlops_model_list",
    "mlops_organization_health",
    "mlops_overview",
    "mlops_plot_list",
    "mlops_plot_show",
    "mlops_preview_create",
    "mlops_preview_show",
    "mlops_profile_show",
    "mlops_recipe_show",
    "mlops_ref_list",
    "mlops_registration_create",
    "mlops_registration_show",
    "mlops_repository_metrics",
    "mlops_repository_push",
    "mlops_repository_show",
    "mlops_run_list",
    "mlops_run_search",
    "mlops_saved_search_create",
    "mlops_saved_search_delete",
    "mlops_saved_search_list",
    "mlops_search_suggest",
    "mlops_server_list",
    "mlops_source_add",
    "mlops_version_diff",
    "mlops_version_list",
    "mlops_version_show",
    "package_delete",
]
