"""The client of a portal, for scripts and notebooks. It needs no CKAN: ``pip install 'ckanext-mlops[client]'``.

    from ckanext.mlops.client import Portal, read_folder, upload

    portal = Portal("https://portal.example", token=TOKEN)
    for result in upload(portal, read_folder(Path("data"))):
        print(result.name, result.status)

``Portal`` is a thin layer over ckanapi: ``portal.action("package_show", id="x")`` calls any action of CKAN.
"""

from ckanext.mlops.client.download import Item, get
from ckanext.mlops.client.folders import read_folder
from ckanext.mlops.client.links import LinkResult, link
from ckanext.mlops.client.portal import ClientError, Portal, Refused
from ckanext.mlops.client.records import BadRecord, DatasetRecord, FileRecord
from ckanext.mlops.client.spreadsheets import read_table
from ckanext.mlops.client.uploads import Result, plan, upload

__all__ = [
    "BadRecord",
    "ClientError",
    "DatasetRecord",
    "FileRecord",
    "Item",
    "LinkResult",
    "Portal",
    "Refused",
    "Result",
    "get",
    "link",
    "plan",
    "read_folder",
    "read_table",
    "upload",
]
