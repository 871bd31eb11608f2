"""What can go wrong with the embedded portal.

PortalError
├── BootstrapError   its Python environment cannot be made
├── ConfigError      portal.toml says something impossible
├── PortTakenError   another process listens where a service should
├── RunningError     the portal runs already, or another command is at work on it
└── ServiceError     a service does not start or does not answer
"""

from __future__ import annotations


class PortalError(Exception):
    """The message names the thing, the place and the remedy."""


class BootstrapError(PortalError):
    """The portal's Python environment cannot be made."""


class ConfigError(PortalError):
    """portal.toml, or an option, says something impossible."""


class PortTakenError(PortalError):
    """Another process listens where a service should."""


class RunningError(PortalError):
    """The portal runs already, or another command is at work on it."""


class ServiceError(PortalError):
    """A service does not start or does not answer."""
