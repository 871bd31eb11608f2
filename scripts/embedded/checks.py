"""Real questions to services, embedded or not. Each raises UnhealthyError with what it saw, and without a secret."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import psycopg2
import redis
import requests

from embedded.service import UnhealthyError

SECONDS = 5


def http(url: str, headers: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None) -> None:
    """The address answers with success."""
    try:
        response = requests.get(url, timeout=SECONDS, headers=headers, auth=auth)
    except requests.RequestException as error:
        raise UnhealthyError(f"{without_credentials(url)} does not answer ({type(error).__name__})") from error
    if response.status_code != 200:
        raise UnhealthyError(f"{without_credentials(url)} answers {response.status_code}")


def postgres(url: str) -> None:
    """The server lets us in and answers a query."""
    try:
        connection = psycopg2.connect(url, connect_timeout=SECONDS)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
        finally:
            connection.close()
    except psycopg2.Error as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise UnhealthyError(f"{without_credentials(url)}: {reason}") from error


def redis_server(url: str) -> None:
    """The server lets us in and answers PING."""
    client = redis.Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
    try:
        client.ping()
    except redis.RedisError as error:
        raise UnhealthyError(f"{without_credentials(url)}: {error}") from error
    finally:
        client.close()


def without_credentials(url: str) -> str:
    """The address as it may be shown and logged."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
