"""How webhooks answer a message that they do not take."""

from __future__ import annotations

from ckan.plugins import toolkit as tk
from flask import Response, jsonify, request

from ckanext.mlops import webhooks

Refusal = tuple[Response, int]


def refused(message: str) -> Refusal:
    """A message without the right signature. One that has it is always taken: behind a proxy all senders share an
    address, and nobody must be able to silence another."""
    try:
        webhooks.count(f"refused:{request.remote_addr or ''}", webhooks.REFUSED_PER_MINUTE)
    except webhooks.TooMany:
        return too_many(tk._("Too many refused messages; try again in a minute."))
    return jsonify(received=False, message=message), 401


def too_many(message: str) -> Refusal:
    """More messages than are listened to."""
    response = jsonify(received=False, message=message)
    response.headers["Retry-After"] = "60"
    return response, 429
