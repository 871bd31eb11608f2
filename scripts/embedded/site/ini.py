"""ckan.ini from one template, for the embedded portal and for containers. Standard library only.

In a container: `python ini.py FILE COMMAND...` writes the file and becomes the command. Every value comes from the
environment variable of its name (`MLOPS_DATABASE_URL` for `database_url`), or from the file that `..._FILE` names.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

TEMPLATE = Path(__file__).with_name("ckan.ini.template")
PREFIX = "MLOPS_"
PATIENCE = 2_000_000  # seconds; the most that a socket takes is 24 days
PLUGINS = (
    "mlops mlops_preview dvc_harvester harvest ckan_harvester scheming_datasets dcat structured_data activity "
    "text_view image_view"
)


@dataclass(frozen=True)
class IniValues:
    """What differs between portals.

    :ivar database_url, redis_url: with credentials
    :ivar repository_roots: local folders, separated by blanks, that may be harvested; empty: none
    :ivar demo_storage: DVC remote of the repositories ``demo_repositories`` (globs), a folder; empty: none
    :ivar options: further options, stronger than the template's
    """

    site_url: str
    secret_key: str
    database_url: str
    solr_url: str
    redis_url: str
    storage_path: str
    mlflow_url: str
    repository_mirrors: str
    site_id: str = "default"
    site_title: str = "Data catalog of machine learning"
    mlflow_name: str = "local"
    mlflow_public_url: str = ""
    mlflow_username: str = ""
    mlflow_password: str = ""
    mlflow_token: str = ""
    repository_roots: str = ""
    demo_storage: str = ""
    demo_repositories: str = ""
    plugins: str = PLUGINS
    options: Mapping[str, str] = field(default_factory=dict)


def render(values: IniValues) -> str:
    """The text of ckan.ini.

    :raises ValueError: a value has a line break, or an option's name cannot stand in the file
    """
    found = {item.name: getattr(values, item.name) for item in fields(values) if item.name != "options"}
    found["mlflow_public_url"] = found["mlflow_public_url"] or found["mlflow_url"]
    found["redis_url"] = patient(found["redis_url"])
    found["secure_cookies"] = str(values.site_url.startswith("https:")).lower()
    text = Template(TEMPLATE.read_text(encoding="utf-8"))
    lines = text.substitute({name: escape(name, value) for name, value in found.items()}, options="${options}")
    for name in values.options:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise ValueError(f"{name!r} is not the name of an option of ckan.ini")
        lines = re.sub(rf"^{re.escape(name)} = .*\n", "", lines, flags=re.MULTILINE)
    own = "".join(f"{name} = {escape(name, value)}\n" for name, value in values.options.items())
    return lines.replace("${options}", own)


def patient(redis_url: str) -> str:
    """The address with a socket timeout of days, unless it has one.

    redis-py 8, which CKAN 2.12 pins, gives up after 5 seconds of silence; ckanext-harvest's consumers wait for work
    without an end of their own, and would die all the time.
    """
    parts = urlsplit(redis_url)
    if "socket_timeout" in parts.query:
        return redis_url
    query = "&".join(filter(None, (parts.query, f"socket_timeout={PATIENCE}", "socket_keepalive=true")))
    return parts._replace(query=query).geturl()


def escape(name: str, value: str) -> str:
    """A value as ConfigParser gives it back unchanged.

    :raises ValueError: it has a line break, which would start another option
    """
    if not value.isprintable():
        raise ValueError(f"the value of {name} must be one line of printable text")
    return value.replace("%", "%%")


def from_environment(environment: Mapping[str, str]) -> IniValues:
    """Values from environment variables.

    :raises ValueError: one without a default is missing
    """
    given: dict[str, str] = {}
    for item in fields(IniValues):
        name = PREFIX + item.name.upper()
        if file := environment.get(f"{name}_FILE"):
            given[item.name] = Path(file).read_text(encoding="utf-8").strip()
        elif environment.get(name):
            given[item.name] = environment[name]
    given.pop("options", None)
    # `CKAN_OPTION__ckan.locale_default=de` sets any further option.
    mark = "CKAN_OPTION__"
    options = {name.removeprefix(mark): value for name, value in environment.items() if name.startswith(mark)}
    try:
        return IniValues(**given, options=options)
    except TypeError as error:
        raise ValueError(f"environment variables are missing ({PREFIX}..., see .env.example): {error}") from error


def main(target: str, *command: str) -> None:
    """Write the file for a container, and become the command."""
    path = Path(target)
    try:
        text = render(from_environment(os.environ))
    except (ValueError, OSError) as error:
        sys.exit(f"ckan.ini: {error}")
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    if command:
        os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(*sys.argv[1:])
