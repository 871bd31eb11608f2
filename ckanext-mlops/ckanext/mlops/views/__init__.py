"""Blueprints of the extension's pages; each module holds one noun's. Pages call actions only."""

from __future__ import annotations

from flask import Blueprint


def get_blueprints() -> list[Blueprint]:
    """All blueprints, for the plugin."""
    return []
