"""Files that only their owner may read, and the secrets in them."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from embedded.errors import ConfigError


def write_secret(path: Path, text: str) -> None:
    """Replace the file in one step; at no moment may others read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _generated() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True)
class Secrets:
    """Generated once per portal. Letters, digits, `-` and `_` only: safe in addresses and configuration files."""

    postgres: str = field(default_factory=_generated)
    postgres_ckan: str = field(default_factory=_generated)
    postgres_mlflow: str = field(default_factory=_generated)
    redis: str = field(default_factory=_generated)
    ckan: str = field(default_factory=_generated)


def load_secrets(path: Path) -> Secrets:
    """The portal's secrets, generated at the first call.

    :raises ConfigError: the file is damaged
    """
    kept: dict[str, str] = {}
    if path.exists():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ConfigError(f"{path} is not JSON ({error}). Restore it from a backup, or `reset`.") from error
    known = {item.name for item in fields(Secrets)}
    found = Secrets(**{name: value for name, value in kept.items() if name in known})
    if asdict(found) != kept:
        write_secret(path, json.dumps(asdict(found), indent=2) + "\n")
    return found


@dataclass(frozen=True)
class Credentials:
    """The sysadmin that the portal made for its operator."""

    user: str
    password: str
    api_token: str = ""


def load_credentials(path: Path) -> Credentials:
    """The sysadmin's name and password, generated at the first call, and the token once there is one.

    :raises ConfigError: the file is damaged
    """
    if path.exists():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return Credentials(kept["user"], kept["password"], kept.get("api_token", ""))
        except (ValueError, KeyError) as error:
            raise ConfigError(f"{path} is damaged ({error}). Restore it from a backup, or delete it.") from error
    made = Credentials("admin", secrets.token_urlsafe(12))
    save_credentials(path, made)
    return made


def save_credentials(path: Path, credentials: Credentials) -> None:
    """Write them down, for the owner only."""
    write_secret(path, json.dumps(asdict(credentials), indent=2) + "\n")
