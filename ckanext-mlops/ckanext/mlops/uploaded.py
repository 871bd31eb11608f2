"""Files that are uploaded to CKAN get the hash and size of their content, however they arrive: form, API or client.

The hash is MD5, which is DVC's: lineage joins an uploaded file with an output of the same content in a repository.
"""

from __future__ import annotations

from typing import Any

from werkzeug.datastructures import FileStorage

from ckanext.mlops.client.hashing import CHUNK, Md5
from ckanext.mlops.transfers.appending import Known


def note_content(resource: dict[str, Any]) -> None:
    """Set ``hash``, ``hash_algorithm`` and ``size`` of a resource that brings a file along.

    What the sender said of them is replaced: a form sends those of the content before. The client compares the answer
    with what it sent.
    """
    upload = resource.get("upload")
    if not isinstance(upload, FileStorage) or not upload.filename:
        return
    if isinstance(upload, Known):
        size = upload.stream.seek(0, 2)
        upload.stream.seek(0)
        resource |= {"hash": upload.digest, "hash_algorithm": "md5", "size": size}
        return
    md5, size = Md5(), 0
    upload.stream.seek(0)
    while data := upload.stream.read(CHUNK):
        md5.update(data)
        size += len(data)
    upload.stream.seek(0)
    resource |= {"hash": md5.hexdigest(), "hash_algorithm": "md5", "size": size}
