#!/usr/bin/env python3
"""Link datasets to MLflow in bulk: `python3 scripts/link_runs.py --help`.

It is `ckan-mlops link`, and needs `pip install '.[client]'`."""

from ckanext.mlops.tool.portal import link

if __name__ == "__main__":
    link()
