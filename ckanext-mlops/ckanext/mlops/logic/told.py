"""What was said in English, in the language of who asks."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from flask import has_request_context

from ckanext.mlops.told import teller


def told(text: str) -> str:
    """The text in the language of the request's address; a command and a worker have none, and get it as it is."""
    return teller(tk.h.lang() or "")(text) if has_request_context() else text
