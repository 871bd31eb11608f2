"""Forms that call one action: what came of it is said on the page that comes next."""

from __future__ import annotations

from typing import Any

from ckan.plugins import toolkit as tk
from werkzeug.wrappers import Response

from ckanext.mlops.logic.told import told


def done(action: str, values: dict[str, Any], said: str, page: str, **place: str) -> Response:
    """Call the action and go to a page, that says ``said`` or why it cannot be; other errors are pages of CKAN."""
    try:
        tk.get_action(action)({}, values)
    except tk.ObjectNotFound as error:
        return tk.abort(404, error.message or tk._("Not found"))
    except tk.NotAuthorized as error:
        return tk.abort(403, error.message or tk._("You may not do that"))
    except tk.ValidationError as error:
        tk.h.flash_error("; ".join(told(str(each)) for each in error.error_summary.values()))
    else:
        if said:
            tk.h.flash_success(said)
    return tk.redirect_to(page, **place)
