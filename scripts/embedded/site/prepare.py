"""Makes CKAN ready: migrations of CKAN and its plugins, a sysadmin, an API token, the search index.

In a container: `python prepare.py --environment`; the sysadmin is `MLOPS_SYSADMIN` with `MLOPS_SYSADMIN_PASSWORD`, gets
no token, and the index is completed.

Else: `python prepare.py`, with `CKAN_INI` set, and one JSON object on standard input: `user`, `password`, `api_token`
(may be empty), `reindex` (true: the index is new). The last line of its output is one JSON object: `api_token`,
`password_kept` (true: the user was there already, with another password).
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from ckan import model
from ckan.cli import load_config
from ckan.cli.db import upgrade
from ckan.config.middleware import make_app
from ckan.lib import api_token as tokens
from ckan.lib import search
from ckan.plugins import toolkit as tk

TOKEN_NAME = "portal"  # noqa: S105 - a name


def sysadmin(name: str, password: str) -> bool:
    """See that the sysadmin exists; True if it did, with another password than this."""
    user = model.User.get(name)
    if user is None:
        context: Any = {"ignore_auth": True, "user": tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]}
        data = {"name": name, "email": f"{name}@localhost", "password": password, "sysadmin": True}
        tk.get_action("user_create")(context, data)
        user = model.User.get(name)
    assert user  # noqa: S101 - just made, if it was not there
    if not user.sysadmin or not user.is_active:
        user.sysadmin = True
        user.state = model.State.ACTIVE
        model.repo.commit()
    return not user.validate_password(password)


def token(name: str, known: str) -> str:
    """The known API token if it is valid, else a new one."""
    if known:
        found = tokens.get_user_from_token(known, update_access_time=False)
        if found and found.name == name:
            return known
    context: Any = {"ignore_auth": True, "user": name}
    for old in tk.get_action("api_token_list")(context, {"user_id": name}):
        if old["name"] == TOKEN_NAME:
            tk.get_action("api_token_revoke")({"ignore_auth": True, "user": name}, {"jti": old["id"]})
    made = tk.get_action("api_token_create")({"ignore_auth": True, "user": name}, {"user": name, "name": TOKEN_NAME})
    return str(made["token"])


def _from_environment() -> dict[str, str]:
    try:
        return {"user": os.environ["MLOPS_SYSADMIN"], "password": os.environ["MLOPS_SYSADMIN_PASSWORD"]}
    except KeyError as error:
        sys.exit(f"prepare.py: the environment variable {error.args[0]} is missing, see .env.example")


def main() -> None:
    """Prepare, and print what the caller must know."""
    contained = "--environment" in sys.argv
    wanted = _from_environment() if contained else json.load(sys.stdin)
    app: Any = make_app(load_config(os.environ["CKAN_INI"]))
    with app._wsgi_app.test_request_context():
        upgrade.main(args=[], standalone_mode=False)
        kept = sysadmin(wanted["user"], wanted["password"])
        if contained:
            search.rebuild(force=True, only_missing=True)
            return
        made = token(wanted["user"], wanted["api_token"])
        if wanted["reindex"]:
            search.rebuild(force=True)
    print(json.dumps({"api_token": made, "password_kept": kept}))


if __name__ == "__main__":
    main()
