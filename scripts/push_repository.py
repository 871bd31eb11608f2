#!/usr/bin/env python3
"""Send a repository's records to a portal that cannot reach it: `python3 scripts/push_repository.py --help`.

It is `ckan-mlops push`, and needs `pip install '.[client]'`."""

from ckanext.mlops.tool.portal import push

if __name__ == "__main__":
    push()
