#!/usr/bin/env python3
"""Register datasets and upload files: `python3 scripts/upload_datasets.py --help`.

It is `ckan-mlops upload`, and needs `pip install '.[client]'`."""

from ckanext.mlops.tool.portal import upload

if __name__ == "__main__":
    upload()
