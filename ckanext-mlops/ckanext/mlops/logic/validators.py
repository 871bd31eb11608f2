"""Validators of the fields of ``schemas/presets.yaml``. An empty field is never an error."""

from __future__ import annotations

import datetime
import re
import uuid
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ckan import model
from ckan.plugins import toolkit as tk
from ckan.types import Context, FlattenDataDict, FlattenErrorDict, FlattenKey, Validator

from ckanext.mlops.tracking import servers as mlflow_servers

HASH_LENGTHS = {"md5": 32, "md5-dos2unix": 32, "sha1": 40, "sha256": 64, "sha512": 128}
HASH_ALGORITHMS = (*HASH_LENGTHS, "etag", "checksum")
ORIGINS = ("asserted", "harvested")
_TEXT_LENGTHS = (300, 2000, 4000, 100_000)
_MAX_HASH = 300
_MAX_SIZE = 2**63 - 1
_HEX = re.compile(r"[0-9A-Fa-f]+")
_COMMIT = re.compile(r"[0-9A-Fa-f]{7,64}")
# Without a user the host needs a dot: "javascript:x" is no address.
_SCP = re.compile(r"(?:\w[\w.-]*@\w[\w.-]*|\w[\w-]*\.[\w.-]+):(?!//)[^\s:]+", re.ASCII)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_REPOSITORY_SCHEMES = ("https", "http", "ssh", "git", "file")
_SECRET = re.compile(
    r"(^|[-_.])(token|sig|signature|secret|password|passwd|key|credential|credentials|sas)$|^(x-amz-|x-goog-|awsaccess)",
    re.IGNORECASE,
)


def get_validators() -> dict[str, Validator]:
    """All of them, by the names that schemas use."""
    bounds = {f"mlops_at_most_{length}": _at_most(length) for length in _TEXT_LENGTHS}
    return bounds | {
        "mlops_lines": lines,
        "mlops_repository_url": repository_url,
        "mlops_commit": commit,
        "mlops_date": date,
        "mlops_hash": content_hash,
        "mlops_hash_algorithm": hash_algorithm,
        "mlops_size": size,
        "mlops_storage_path": storage_path,
        "mlops_mlflow_server": mlflow_server,
        "mlops_source_dataset": source_dataset,
        "mlops_source_url": source_url,
        "mlops_source_origin": source_origin,
    }


def _at_most(length: int) -> Validator:
    def at_most(value: Any) -> str:
        if len(value) > length:
            raise tk.Invalid(
                tk._("Has {n:,} characters; at most {length:,} are kept").format(n=len(value), length=length)
            )
        return str(value)

    return at_most


def lines(value: str) -> str:
    """Text with line feeds only: browsers send CR LF, and an edit form that is saved untouched must change nothing."""
    return value.replace("\r\n", "\n").replace("\r", "\n").strip("\n")


def repository_url(value: str) -> str:
    """The address of a Git repository: a URL, ``user@host:path``, or a ``file://`` URL; no credentials."""
    scheme = _SCHEME.match(value)
    if scheme is None:
        if _SCP.fullmatch(value):
            return value
        raise tk.Invalid(
            tk._("Not the address of a Git repository; examples: https://host/project.git, git@host:project.git")
        )
    if scheme[1].lower() not in _REPOSITORY_SCHEMES:
        raise tk.Invalid(
            tk._("{scheme}:// addresses are not Git repositories; give one of {schemes}").format(
                scheme=scheme[1], schemes=", ".join(_REPOSITORY_SCHEMES)
            )
        )
    parts = _split(value)
    if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
        raise tk.Invalid(
            tk._(
                "Holds a user name or password, which every reader of the dataset could see; "
                "give the address without them"
            )
        )
    if parts.query or parts.fragment:
        raise tk.Invalid(tk._("Has a query or fragment; give the address of the repository alone"))
    if not parts.path.strip("/") or (not parts.hostname and parts.scheme != "file"):
        raise tk.Invalid(tk._("Names no repository; example: https://host/project.git"))
    return value


def commit(value: str) -> str:
    """A Git commit in hex, abbreviated or not."""
    if not _COMMIT.fullmatch(value):
        raise tk.Invalid(tk._("Not a Git commit: 7 to 64 hexadecimal digits"))
    return value.lower()


def date(value: Any) -> str:
    """A day as ISO 8601; the day of a date with time."""
    if isinstance(value, datetime.date):
        return value.isoformat()[:10]
    text = str(value).strip()
    try:
        return datetime.datetime.fromisoformat(text).date().isoformat()
    except ValueError:
        raise tk.Invalid(tk._("Not a date; example: 2026-03-31")) from None


def content_hash(key: FlattenKey, data: FlattenDataDict, errors: FlattenErrorDict, context: Context) -> None:
    """A checksum that fits the field ``hash_algorithm`` beside it; DVC's mark of a folder, ``.dir``, is part of it."""
    value = data[key]
    algorithm = data.get((*key[:-1], "hash_algorithm"))
    length = HASH_LENGTHS.get(algorithm) if isinstance(algorithm, str) else None
    if length is None:
        if len(value) > _MAX_HASH:
            raise tk.Invalid(tk._("Has more than {length} characters").format(length=_MAX_HASH))
        return
    digits = value.removesuffix(".dir")
    if len(digits) != length or not _HEX.fullmatch(digits):
        raise tk.Invalid(
            tk._("Not a hash made by {algorithm}: {length} hexadecimal digits").format(
                algorithm=algorithm, length=length
            )
        )


def hash_algorithm(value: str) -> str:
    """A name that we know, or a URI (DCAT names algorithms so)."""
    if value not in HASH_ALGORITHMS and not value.startswith(("http://", "https://")):
        raise tk.Invalid(
            tk._("Unknown; give one of {algorithms}, or the URI of another one").format(
                algorithms=", ".join(HASH_ALGORITHMS)
            )
        )
    if len(value) > _MAX_HASH:
        raise tk.Invalid(tk._("Has more than {length} characters").format(length=_MAX_HASH))
    return value


def size(key: FlattenKey, data: FlattenDataDict, errors: FlattenErrorDict, context: Context) -> None:
    """A number of bytes; nought is one, nothing is none."""
    value = data.get(key)
    if value in (None, "", tk.missing):
        data.pop(key, None)
        raise tk.StopOnError
    try:
        number = int(value)
    except (TypeError, ValueError, OverflowError):
        raise tk.Invalid(tk._("Not a whole number of bytes")) from None
    if number != value and not isinstance(value, str):
        raise tk.Invalid(tk._("Not a whole number of bytes"))
    if not 0 <= number <= _MAX_SIZE:
        raise tk.Invalid(tk._("Not a size: from 0 to {most} bytes").format(most=_MAX_SIZE))
    data[key] = number


def storage_path(value: str) -> str:
    """A URL or path of stored content, without credentials."""
    if _SCHEME.match(value):
        _refuse_credentials(value)
    return value


def mlflow_server(key: FlattenKey, data: FlattenDataDict, errors: FlattenErrorDict, context: Context) -> None:
    """A server of the configuration.

    A portal without any takes every name, and a dataset keeps the name it has: what was dumped elsewhere can be loaded,
    and a server that the operator removed hinders no edit.
    """
    known = mlflow_servers.names()
    if not known or data[key] in known:
        return
    package = context.get("package")
    if package is not None and (package.extras or {}).get(key[-1]) == data[key]:
        return
    raise tk.Invalid(
        tk._("No MLflow server of that name is configured; give one of {names}").format(names=", ".join(known))
    )


def source_dataset(key: FlattenKey, data: FlattenDataDict, errors: FlattenErrorDict, context: Context) -> None:
    """``dataset`` of an entry of ``derived_from``: by id or name; kept as id.

    The entry must have either it or ``url``; one that has nothing at all is dropped. A name must be that of a dataset
    that the user may see. An id is kept also when there is no such dataset, or not for this user: it may be loaded or
    harvested later, and saying which is the case would tell.
    """
    entry = key[:-1]
    dataset, url, label = (_text(data.get((*entry, name))) for name in ("dataset", "url", "label"))
    unknown = data.pop((*entry, "__extras"), None)
    if unknown:
        errors[key].append(tk._("Unknown keys: {keys}").format(keys=", ".join(sorted(unknown))))
        raise tk.StopOnError
    if not dataset:
        data.pop(key, None)
        if label and not url:
            errors[key].append(tk._("Give a dataset or the address of an outside source"))
        raise tk.StopOnError
    if url:
        errors[key].append(tk._("Give either a dataset or the address of an outside source, not both"))
        raise tk.StopOnError
    found = dataset if _is_id(dataset) else _visible_dataset(dataset, context)
    if found is None:
        errors[key].append(tk._("There is no dataset of that name that you may see"))
        raise tk.StopOnError
    data[key] = found
    if found and data.get(("id",)) == found:
        errors[key].append(tk._("A dataset is not made from itself"))
        raise tk.StopOnError


def source_url(value: str) -> str:
    """The address of an outside source: any URL, or a name like ``kaggle:titanic``; no credentials."""
    if _SCHEME.match(value):
        _refuse_credentials(value)
    elif value.lower().startswith(("javascript:", "data:", "vbscript:")):
        raise tk.Invalid(tk._("Not the address of a source"))
    return value


def source_origin(key: FlattenKey, data: FlattenDataDict, errors: FlattenErrorDict, context: Context) -> None:
    """Who says that the entry is so; ``asserted`` (a person) when missing."""
    entry = key[:-1]
    value = _text(data.get(key))
    if not any(_text(data.get((*entry, name))) for name in ("dataset", "url", "label")) and not errors.get(
        (*entry, "dataset")
    ):
        data.pop(key, None)
        return
    if value and value not in ORIGINS:
        errors[key].append(tk._("Give one of {origins}").format(origins=", ".join(ORIGINS)))
        raise tk.StopOnError
    data[key] = value or ORIGINS[0]


def _visible_dataset(reference: str, context: Context) -> str | None:
    package = model.Package.get(reference)
    if package is None or package.state != "active":
        return None
    if not context.get("ignore_auth"):
        inner: Context = {"user": context.get("user", ""), "session": context["session"]}
        if "auth_user_obj" in context:
            inner["auth_user_obj"] = context["auth_user_obj"]
        try:
            tk.check_access("package_show", inner, {"id": package.id})
        except tk.NotAuthorized:
            return None
    return str(package.id)


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else "" if value in (None, tk.missing) else str(value)


def _split(value: str) -> Any:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 raises ValueError
    except ValueError:
        raise tk.Invalid(tk._("Not an address")) from None
    return parts


def _refuse_credentials(value: str) -> None:
    """Refuse what would show a secret to every reader: user info, and the signature of a signed link."""
    parts = _split(value)
    secret = next((name for name, _ in parse_qsl(parts.query, keep_blank_values=True) if _SECRET.search(name)), None)
    if parts.password is not None or (parts.username is not None and parts.scheme in ("http", "https")):
        raise tk.Invalid(
            tk._("Holds a user name or password, which every reader of the dataset could see; give it without them")
        )
    if secret is not None:
        raise tk.Invalid(
            tk._("Its parameter {name} looks like a secret, which every reader could see; leave it out").format(
                name=secret
            )
        )
