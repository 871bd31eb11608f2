"""Where MLflow's webhooks are sent: ``POST /mlops/mlflow/<server>/webhook``."""

from __future__ import annotations

import time

from ckan import model
from ckan.config.middleware.flask_app import csrf
from ckan.plugins import toolkit as tk
from flask import Blueprint, Response, jsonify, request

from ckanext.mlops.core import mlflow_webhook
from ckanext.mlops.model.tables import utc_now
from ckanext.mlops.tracking import schedule as mlflow_schedule
from ckanext.mlops.tracking import servers as mlflow_servers
from ckanext.mlops.views.webhooks import refused, too_many
from ckanext.mlops.webhooks import TooMany

mlops_mlflow_webhook = Blueprint("mlops_mlflow_webhook", __name__)
# A server signs its messages; it has no session, and no token of a form.
csrf.exempt(mlops_mlflow_webhook)


@mlops_mlflow_webhook.post("/mlops/mlflow/<server>/webhook")
def receive(server: str) -> Response | tuple[Response, int]:
    """Note that something changed on the server, so that it is read soon. The message's content is not used."""
    secrets = mlflow_servers.webhook_secrets(server)
    body = request.stream.read(mlflow_webhook.MAX_BYTES + 1)
    try:
        if not secrets:
            # Not told apart from a wrong signature: names of servers are for those who are signed in.
            raise mlflow_webhook.WebhookRefused(tk._("No webhook of this server is expected here."))
        if len(body) > mlflow_webhook.MAX_BYTES:
            raise mlflow_webhook.WebhookRefused(tk._("The message is too large."))
        delivery = mlflow_webhook.check(dict(request.headers), body, secrets, time.time())
    except mlflow_webhook.WebhookRefused as error:
        return refused(str(error))
    try:
        new = mlflow_schedule.receive(model.Session(), server, delivery, utc_now())
    except TooMany:
        return too_many(tk._("Too many messages; try again in a minute."))
    return jsonify(received=True, repeated=not new)
