"""How Git reaches a checked source: settings, credentials and ssh options in the environment; what its failures mean.

Nothing that belongs to an address or a credential is ever an argument of a process or a line of a file.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import shlex
import socket
import ssl
import threading
import time
from urllib.parse import urljoin

from .address import DEFAULT_PORTS, Credential, Policy, Resolve, Source, check_address
from .errors import FetchFailed, LimitExceeded
from .gitcommand import GitError, git_environment
from .said import said

EXPERIMENTS = "refs/exps/"
# DVC's own scratch space, not experiments.
PRIVATE_EXPERIMENTS = ("exec", "stash", "apply", "celery", "temp")

# Seconds until the head of an answer must be there.
_ANSWER = 30.0
_SERVICE = "/info/refs?service=git-upload-pack"
_REDIRECT = re.compile(r"returned error: 30[1278]|unable to update url base")


def transport_environment(
    source: Source, policy: Policy, credential: Credential | None, *, blob_limit: str, global_config: str
) -> dict[str, str]:
    """Environment for ``git ls-remote origin`` and ``git fetch origin``, where ``origin`` is ``source``."""
    config = [
        ("remote.origin.url", source.location),
        ("remote.origin.fetch", "+refs/heads/*:refs/heads/*"),
        ("remote.origin.fetch", "+refs/tags/*:refs/tags/*"),
        ("fetch.unpackLimit", "1"),
        # Hashes and completeness are checked by every fetch. Git's further check of form would refuse a whole history
        # for one missing time zone of ten years ago, untunable in partial clones: the form is for readers to judge.
        ("fetch.fsckObjects", "false"),
        ("pack.threads", "2"),
    ]
    if policy.experiments:
        config.append(("remote.origin.fetch", f"+{EXPERIMENTS}*:{EXPERIMENTS}*"))
        for name in PRIVATE_EXPERIMENTS:
            config.append(("remote.origin.fetch", f"^{EXPERIMENTS}{name}"))
            config.append(("remote.origin.fetch", f"^{EXPERIMENTS}{name}/*"))
    if blob_limit:
        config.append(("remote.origin.promisor", "true"))
        config.append(("remote.origin.partialclonefilter", f"blob:limit={blob_limit}"))
    if source.transport in ("https", "http"):
        config += _http_config(source, policy, credential)
    local = source.transport in ("file", "bundle")
    environment = git_environment(
        config, protocols=["file" if local else source.transport], global_config=global_config
    )
    if source.transport == "ssh":
        environment |= {"GIT_SSH_COMMAND": _ssh(source, credential), "GIT_SSH_VARIANT": "ssh"}
    return environment


def _http_config(source: Source, policy: Policy, credential: Credential | None) -> list[tuple[str, str]]:
    config = [
        ("http.followRedirects", "false"),
        ("http.proxy", policy.proxy),
        ("http.lowSpeedLimit", "500"),
        ("http.lowSpeedTime", "30"),
    ]
    if source.addresses and not policy.proxy:
        pinned = ",".join(f"[{item}]" if ":" in item else item for item in source.addresses)
        config.append(("http.curloptResolve", f"{source.host}:{source.port}:{pinned}"))
    if policy.ca_file:
        config.append(("http.sslCAInfo", str(policy.ca_file)))
    header = credential.http_header() if credential else ""
    if header:
        config.append((f"http.{source.location}.extraHeader", f"Authorization: {header}"))
    return config


def _ssh(source: Source, credential: Credential | None) -> str:
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "IdentitiesOnly": "yes",
        "PermitLocalCommand": "no",
        "ProxyCommand": "none",
        "ClearAllForwardings": "yes",
        "ForwardAgent": "no",
        "ConnectTimeout": "20",
        "ServerAliveInterval": "15",
    }
    if source.addresses:
        # As ssh and ssh-keyscan write a host of an unusual port into known_hosts.
        alias = source.host if source.port == DEFAULT_PORTS["ssh"] else f"[{source.host}]:{source.port}"
        options |= {"HostName": source.addresses[0], "HostKeyAlias": alias}
    words = ["ssh", "-F", "/dev/null"]
    if credential and credential.known_hosts:
        options["UserKnownHostsFile"] = str(credential.known_hosts)
    if credential and credential.ssh_key:
        words += ["-i", str(credential.ssh_key)]
    words += [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return shlex.join(words)


def redirected(error: GitError, source: Source, policy: Policy, resolve: Resolve, deadline: float) -> Source | None:
    """Where a server sends us after Git was answered with a redirect, checked like any address; None when nowhere.

    Git itself follows none: it would connect to whatever address the answer names. Forges redirect when a project was
    renamed, and GitLab when ``.git`` is missing. No credential is sent to find out.

    :param deadline: on the clock of ``time.monotonic``
    :raises AddressRefused: the target is not allowed
    """
    if source.transport not in ("https", "http") or not _REDIRECT.search(error.text) or policy.proxy:
        return None
    try:
        location = _location(source, policy, deadline)
    except (OSError, ValueError, http.client.HTTPException):
        return None
    target = urljoin(source.location + _SERVICE, location)
    if not location or not target.endswith(_SERVICE):
        return None
    return check_address(target.removesuffix(_SERVICE), policy, resolve)


def _location(source: Source, policy: Policy, deadline: float) -> str:
    connection: http.client.HTTPConnection
    if source.transport == "https":
        context = ssl.create_default_context(cafile=str(policy.ca_file) if policy.ca_file else None)
        connection = http.client.HTTPSConnection(source.host, source.port, timeout=20, context=context)
        connection.sock = context.wrap_socket(_connect(source), server_hostname=source.host)
    else:
        connection = http.client.HTTPConnection(source.host, source.port, timeout=20)
        connection.sock = _connect(source)
    # The socket's own time limit is for each piece of an answer: one that drips would take for ever.
    end = threading.Timer(max(0.0, min(_ANSWER, deadline - time.monotonic())), _end, [connection.sock])
    end.daemon = True
    end.start()
    try:
        path = re.sub(r"^[a-z]+://[^/]*", "", source.location)
        connection.request("GET", path + _SERVICE, headers={"User-Agent": "git/2 (ckanext-mlops)"})
        return connection.getresponse().getheader("Location") or ""
    finally:
        end.cancel()
        connection.close()


def _end(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


def _connect(source: Source) -> socket.socket:
    return socket.create_connection((source.addresses[0], source.port), timeout=20)


def failure(error: GitError, source: Source, policy: Policy) -> FetchFailed | LimitExceeded:
    """What to tell about a failed Git command: what went wrong and what to do."""
    text = error.text
    if "File size limit exceeded" in text or "signal 25" in text or error.code in (-25, 128 + 25):
        return too_large(source, policy)
    if re.search(r"out of memory|malloc|mmap failed|cannot allocate", text, re.IGNORECASE):
        return LimitExceeded(f"{source.url}: Git needs more memory for it than is allowed; it is too large.")
    for pattern, remedy in _REMEDIES:
        if re.search(pattern, text, re.IGNORECASE):
            return FetchFailed(said(f"{source.url}: {remedy}. (Git: {text[-300:]})"))
    return FetchFailed(f"{source.url}: Git could not read it: {text[-500:] or f'exit code {error.code}'}")


def too_large(source: Source, policy: Policy) -> LimitExceeded:
    """The repository is over ``max_bytes``."""
    return LimitExceeded(
        f"{source.url}: the repository is larger than {policy.max_bytes:,} bytes (limit: max_bytes); "
        f"the operator can raise the limit, or its large files can move to DVC."
    )


_REMEDIES = (
    (
        r"returned error: 30\d|unable to update url base|redirect",
        said("it answers with a redirect; give the final address"),
    ),
    (
        r"Authentication failed|could not read (Username|Password)|returned error: 40[13]|Permission denied|publickey",
        said("access was denied; it is private or does not exist: name a credential that may read it"),
    ),
    (
        r"returned error: 404|repository .* not found|does not appear to be a git repo|not a git repository",
        said("there is no repository at this address; check the spelling"),
    ),
    (
        r"Host key verification failed",
        said("its ssh host key is not known; add it to the credential's known_hosts file"),
    ),
    (r"SSL certificate|server certificate|certificate verif", said("its TLS certificate is not trusted; see ca_file")),
    (
        r"lacks these prerequisite",
        said("the bundle holds only part of a history; make it with 'git bundle create X --all'"),
    ),
    (r"transport '.*' not allowed", said("it needs a transport that is not allowed")),
    (
        r"unsupported (hash|object.format)|mismatched algorithms",
        said("its hash algorithm is not supported by this Git"),
    ),
    (
        r"timed out|Connection refused|Could not resolve|Failed to connect|too slow|No route|reset by peer|: 5\d\d",
        said("the server did not answer; try again later"),
    ),
    (
        r"fsck|bad object|missing (blob|tree|commit)|did not send|corrupt|early EOF|unable to read|pack|hung up",
        said("objects of it are damaged or missing; run 'git fsck' there"),
    ),
)
