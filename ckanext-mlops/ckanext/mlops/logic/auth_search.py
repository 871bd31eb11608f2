"""Who may find what: everybody, what they may see; saved searches are of the person who saved them."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from ckan.types import AuthResult, Context, DataDict


@tk.auth_allow_anonymous_access
def mlops_search_suggest(context: Context, data_dict: DataDict) -> AuthResult:
    """Everybody; the answer holds what they may see."""
    return {"success": True}
