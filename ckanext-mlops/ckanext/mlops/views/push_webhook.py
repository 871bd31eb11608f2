"""Where GitHub, GitLab and Gitea say that something was pushed: ``POST /mlops/source/<id>/webhook``."""

from __future__ import annotations

import time

from ckan import model
from ckan.config.middleware.flask_app import csrf
from ckan.plugins import toolkit as tk
from flask import Blueprint, Response, jsonify, request

from ckanext.mlops.core import push_webhook
from ckanext.mlops.views.webhooks import refused, too_many
from ckanext.mlops.webhooks import TooMany

mlops_push_webhook = Blueprint("mlops_push_webhook", __name__)
# A forge signs its messages; it has no session, and no token of a form.
csrf.exempt(mlops_push_webhook)


@mlops_push_webhook.post("/mlops/source/<id>/webhook")
def receive(id: str) -> Response | tuple[Response, int]:  # noqa: A002 CKAN's routes name it so
    """Harvest the source soon, when it reads the branch or tag that moved."""
    from ckanext.mlops.harvesting import triggers

    body = request.stream.read(push_webhook.MAX_BYTES + 1)
    package = model.Package.get(id)
    hooked = triggers.hooked(package.id) if package is not None else None
    try:
        if package is None or hooked is None:
            # Not told apart from a wrong signature: which private sources there are is nobody's business.
            raise push_webhook.PushRefused(tk._("No webhook is expected here."))
        if len(body) > push_webhook.MAX_BYTES:
            raise push_webhook.PushRefused(tk._("The message is too large."))
        config, secrets = hooked
        push = push_webhook.check(dict(request.headers), body, secrets, time.time())
    except push_webhook.PushRefused as error:
        return refused(str(error))
    try:
        done = triggers.receive(package.id, config, push)
    except TooMany:
        return too_many(tk._("Too many messages; try again in a minute."))
    return jsonify(received=True, done=done)
