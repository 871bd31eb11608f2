"""Ports: free ones, taken ones and by whom."""

from __future__ import annotations

import random
import socket
from contextlib import closing

import psutil

from embedded.errors import PortTakenError

# Below the range from which systems take the ports of outgoing connections, so that a kept port stays free.
KEPT = range(20_000, 30_000)


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on now.

    :raises PortTakenError: none was found
    """
    for port in random.sample(KEPT, 200):
        if is_free(host, port):
            return port
    raise PortTakenError(f"No free port was found on {host} between {KEPT.start} and {KEPT.stop}.")


def is_free(host: str, port: int) -> bool:
    """True if a service could listen there.

    :raises PortTakenError: the address cannot be had for another reason
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise PortTakenError(f"Port {port} of {host} needs administrator's rights. Use one above 1023.") from error
        except OSError as error:
            if error.errno in (98, 48):  # EADDRINUSE on Linux and on BSD
                return False
            raise PortTakenError(f"{host}:{port} cannot be used: {error.strerror}. Check --host.") from error
    return True


def require_free(host: str, port: int, what: str, option: str) -> None:
    """Refuse to start a service whose port is taken.

    :raises PortTakenError: with the process that has it
    """
    if not is_free(host, port):
        raise PortTakenError(
            f"Port {port} of {host}, wanted for {what}, is taken by {holder(port)}. "
            f"Stop that process, or choose another port with {option}."
        )


def holder(port: int) -> str:
    """The process that listens on a port, as far as this user may know."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS
        return "another process"
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
            try:
                process = psutil.Process(connection.pid or -1)
                return f"{process.name()} (process {process.pid}, of {process.username()})"
            except (psutil.Error, ValueError):
                return "a process of another user"
    return "another process"
