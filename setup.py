"""ckanext-mlops: CKAN as the data catalog of machine learning.

The reading half (``ckanext.mlops.core`` and ``ckanext.mlops.catalog``) installs without CKAN;
the portal's own pinned environment is ``requirements.lock``.
"""

from pathlib import Path

from setuptools import find_namespace_packages, setup

SOURCE = "ckanext-mlops"

setup(
    name="ckanext-mlops",
    version="0.1.0",
    description="Which exact dataset was altered in what way and was used for which specific models: "
    "a CKAN catalog of DVC data, its lineage and its MLflow runs",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="AGPL-3.0-or-later",
    license_files=["LICENSE"],
    python_requires=">=3.11",
    package_dir={"": SOURCE},
    packages=find_namespace_packages(where=SOURCE, include=["ckanext.mlops*"]),
    include_package_data=False,
    package_data={
        "ckanext.mlops": [
            "*.yaml",
            "schemas/*.yaml",
            "assets/**/*",
            "templates/**/*",
            "migration/mlops/*",
            "migration/mlops/versions/*.py",
            "i18n/**/*.mo",
        ]
    },
    install_requires=["PyYAML>=6", "pathspec>=0.12", "requests>=2.31", "pandas>=2", "click>=8"],
    extras_require={
        "ckan": [
            "ckan>=2.12,<2.13",
            "ckanext-harvest>=1.6.3,<2",
            "ckanext-scheming>=3.1,<4",
            "ckanext-dcat>=2.4,<3",
            "ckanapi>=4.8",
            "sqlalchemy>=2",
            "dvc-render>=1,<2",
        ],
        # The client of a portal; ``s3`` and ``excel`` are what the portal and the client read more with.
        "client": ["ckanapi>=4.8", "tqdm>=4.60"],
        "s3": ["boto3>=1.34"],
        "excel": ["openpyxl>=3.1"],
        "kaggle": ["kaggle>=2"],
        "dvc": ["dvc>=3.67,<4"],
        "mlflow": ["mlflow>=3,<4"],
    },
    entry_points={
        "console_scripts": ["ckan-mlops=ckanext.mlops.tool:main"],
        "ckan.plugins": [
            "mlops=ckanext.mlops.plugin:MlopsPlugin",
            "mlops_preview=ckanext.mlops.preview_view:PreviewView",
            "dvc_harvester=ckanext.mlops.harvester:DvcHarvester",
        ],
        # Found by MLflow where models are trained; they import nothing of CKAN.
        "mlflow.dataset_source": ["ckan_dvc=ckanext.mlops.training.source:CkanDvcSource"],
        "mlflow.run_context_provider": ["ckan_dvc=ckanext.mlops.training.context:DvcContext"],
        "babel.extractors": ["ckan=ckan.lib.extract:extract_ckan"],
    },
)
