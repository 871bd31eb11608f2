"""Which repository addresses may be contacted, and with what credential.

An address comes from a stranger (a form, an API call, another repository's ``dvc import``). :func:`check_address` turns
it into a :class:`Source`, or raises :class:`~ckanext.mlops.core.errors.AddressRefused` saying why and what to do. The
addresses that a host name resolves to are part of the Source, so that what was checked is what is connected to.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

from .errors import AddressRefused

Transport = Literal["https", "http", "ssh", "file", "bundle"]
Resolve = Callable[..., Iterable[tuple[Any, ...]]]

DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}
# Azure's host agent answers machine credentials on a public address.
_METADATA = {ipaddress.ip_address("168.63.129.16")}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"^[A-Za-z0-9+.-]*::")
_SCP = re.compile(r"^(?:(?P<user>[^@/:]+)@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^@/:\[\]]+):(?P<path>.+)$")
_HOST = re.compile(r"^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})$")
_NUMERIC = re.compile(r"^(?:0[xX][0-9A-Fa-f]*|[0-9]+)$")
_USER = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")


#: For reading DVC's files: a ``dvc.lock`` of some 30,000 stages fits, data that slipped into Git stays on the server.
READING_BLOB_LIMIT = "16m"


@dataclass(frozen=True)
class Policy:
    """What may be contacted, and how much of it is taken. Given by the operator, never by a repository.

    :param schemes: of remote addresses: any of ``https``, ``http``, ``ssh``
    :param roots: folders below which local folders and bundles may be read; none = no local repository
    :param hosts: globs of host names; empty = every public host
    :param allow_private_addresses: also loopback, private and link-local networks
    :param max_bytes: of packed objects on disk, per mirror
    :param timeout: seconds for everything that one call does
    :param max_refs: branches, tags and experiments together
    :param blob_limit: files above it stay on the server (``512k``, ``1m``); ``""`` takes all files
    :param experiments: also fetch DVC experiments (``refs/exps``)
    :param proxy: HTTP proxy; host names are then resolved by the proxy, so that addresses cannot be checked here
    :param ca_file: certificates that are trusted in place of the system's
    """

    schemes: tuple[str, ...] = ("https",)
    roots: tuple[Path, ...] = ()
    hosts: tuple[str, ...] = ()
    allow_private_addresses: bool = False
    max_bytes: int = 2 * 1024**3
    timeout: float = 600.0
    max_refs: int = 20_000
    blob_limit: str = "1m"
    experiments: bool = False
    proxy: str = ""
    ca_file: Path | None = None


@dataclass(frozen=True)
class Credential:
    """What the operator configured to open a private repository. ``repr`` shows no secret.

    HTTP uses ``username`` with ``password`` or ``token`` (a token without user name is sent the way GitHub, GitLab and
    Gitea accept); ssh uses ``ssh_key``, the path of a private key without passphrase, and ``known_hosts``.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ssh_key: Path | None = None
    known_hosts: Path | None = None

    def http_header(self) -> str:
        """Value of the Authorization header, ``""`` when there is nothing to send."""
        secret = self.token or self.password
        if not secret:
            return ""
        pair = f"{self.username or 'x-access-token'}:{secret}"
        return "Basic " + base64.b64encode(pair.encode()).decode()

    def secrets(self) -> tuple[str, ...]:
        """Every text that must not appear in a message."""
        header = self.http_header()
        return tuple(text for text in (self.token, self.password, header.removeprefix("Basic ")) if text)


@dataclass(frozen=True)
class Source:
    """A checked address.

    :param url: fit to be shown and stored: no user info of HTTP, no query
    :param location: what Git is given
    :param addresses: IP addresses that ``host`` resolved to when it was checked
    """

    transport: Transport
    url: str
    location: str
    host: str = ""
    port: int = 0
    addresses: tuple[str, ...] = ()


def shown(address: str) -> str:
    """``address`` fit for a message: no user info, query or control characters, 200 characters at most."""
    text = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", address[:2000])
    text = re.sub(r"(://)[^/]*@", r"\1", text)
    return re.sub(r"[?#].*", "", text)[:200]


def check_address(address: str, policy: Policy, resolve: Resolve | None = socket.getaddrinfo) -> Source:
    """The source that ``address`` names: an URL, ``user@host:path``, a folder, or a ``.bundle`` file.

    :param resolve: None = say what can be said without asking anybody, neither name service nor file system
    :raises AddressRefused: naming the address without credentials, the reason and the remedy
    """
    if not address:
        raise AddressRefused("The repository address is empty: give a URL.")
    if len(address) > 2000:
        raise _refuse(address, "it is longer than 2,000 characters")
    if _HELPER.match(address):
        raise _refuse(address, "remote helpers (name::address) run commands; use https")
    if address.startswith("-"):
        raise _refuse(address, "it begins with '-' and would be read as an option")
    scheme = _SCHEME.match(address)
    if scheme is None:
        scp = _SCP.match(address)
        if scp is None or address.startswith((".", "/", "~")):
            return _local(address, Path(address), policy, look=resolve is not None)
        path = scp["path"] if scp["path"].startswith("/") else "/" + scp["path"]
        user = f"{scp['user']}@" if scp["user"] else ""
        return _network(f"ssh://{user}{scp['host']}{quote(path, safe='/~%+@:,=')}", address, policy, resolve)
    if scheme[1].lower() == "file":
        parts = urlsplit(address)
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise _refuse(address, "a file URL has three slashes and no query: file:///folder/repository")
        return _local(address, Path(unquote(parts.path)), policy, look=resolve is not None)
    return _network(address, address, policy, resolve)


def _refuse(address: str, reason: str) -> AddressRefused:
    return AddressRefused(f"Repository address {shown(address)!r} is refused: {reason}.")


def _local(address: str, path: Path, policy: Policy, *, look: bool) -> Source:
    if any(ord(char) < 32 or ord(char) == 127 for char in str(path)):
        raise _refuse(address, "it holds control characters")
    try:
        real = path.expanduser().resolve(strict=look) if policy.roots else path
    except (OSError, RuntimeError):
        # One answer for "absent" and "outside": the file system is not to be explored through messages.
        real = None
    if real is None or not within(real, policy.roots):
        raise _refuse(
            address, "local repositories are read only where they exist below one of the operator's configured folders"
        )
    bundle = real.is_file()
    return Source("bundle" if bundle else "file", "file://" + str(real), str(real))


def within(path: Path, roots: Iterable[Path]) -> bool:
    """Whether the resolved ``path`` is one of the ``roots`` or below one."""
    return any(path.is_relative_to(root.resolve()) for root in roots)


def _network(url: str, address: str, policy: Policy, resolve: Resolve | None) -> Source:
    if _CONTROL.search(url) or "\\" in url:
        raise _refuse(address, "it holds blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refuse(address, "it is not a URL") from error
    scheme = parts.scheme.lower()
    if scheme not in policy.schemes or scheme not in DEFAULT_PORTS:
        raise _refuse(address, f"{scheme} is not among the allowed schemes ({', '.join(policy.schemes)})")
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise _refuse(address, "it has a query or fragment; give the address of the repository alone")
    host = (parts.hostname or "").rstrip(".").lower()
    user = parts.username or ""
    if parts.password is not None or (user and scheme != "ssh"):
        raise _refuse(address, "it holds a user name or password; name a credential in the settings instead")
    if user and not _USER.match(user):
        raise _refuse(address, "its user name has unusual characters")
    if not parts.path.strip("/"):
        raise _refuse(address, "it names no repository on the host")
    _check_host(host, address, policy)
    port = port or DEFAULT_PORTS[scheme]
    addresses = _resolved(host, port, address, policy, resolve)
    name = f"[{host}]" if ":" in host else host
    netloc = name if port == DEFAULT_PORTS[scheme] else f"{name}:{port}"
    clean = f"{scheme}://{netloc}{parts.path}"
    location = f"{scheme}://{user}@{netloc}{parts.path}" if user else clean
    transport: Transport = "https" if scheme == "https" else "http" if scheme == "http" else "ssh"
    return Source(transport, location if scheme == "ssh" else clean, location, host, port, addresses)


def _check_host(host: str, address: str, policy: Policy) -> None:
    literal = _literal(host)
    if literal is None and (not _HOST.match(host) or ".." in host):
        raise _refuse(address, "its host is not a plain ASCII host name")
    if literal is None and _NUMERIC.match(host.rsplit(".", 1)[-1]):
        raise _refuse(address, "its host is a number in an unusual form; write the IP address with four decimals")
    if policy.hosts and not any(fnmatchcase(host, glob.lower()) for glob in policy.hosts):
        raise _refuse(address, "its host is not on the operator's list of allowed hosts")


def _resolved(host: str, port: int, address: str, policy: Policy, resolve: Resolve | None) -> tuple[str, ...]:
    literal = _literal(host)
    if literal is not None:
        found = [host]
    elif resolve is None:
        return ()
    else:
        try:
            answer = resolve(host, port, 0, socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(item[4][0]) for item in answer))
        except (OSError, UnicodeError) as error:
            if policy.proxy:
                return ()
            raise _refuse(address, "its host name does not resolve; check the spelling") from error
    if not found:
        raise _refuse(address, "its host name does not resolve; check the spelling")
    if not policy.allow_private_addresses and not all(is_public(item) for item in found):
        raise _refuse(
            address, "its host is not on the public network; the operator can allow private addresses in the settings"
        )
    return tuple(found)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_public(address: str) -> bool:
    """Whether the IP address is on the public network, also when it hides an IPv4 address inside an IPv6 one."""
    literal = _literal(address.split("%", 1)[0])
    if literal is None or "%" in address:
        return False
    inner: ipaddress.IPv4Address | None = None
    if isinstance(literal, ipaddress.IPv6Address):
        inner = literal.ipv4_mapped or literal.sixtofour
        if literal.teredo is not None:
            inner = literal.teredo[1]
        elif literal in _NAT64 or int(literal) < 2**32:
            inner = ipaddress.IPv4Address(int(literal) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(str(inner))
    return literal.is_global and not literal.is_multicast and literal not in _METADATA
