"""What the webhooks of forges and of MLflow have in common: how many messages of a minute are listened to, and which
were received before."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ckan.lib.redis import connect_to_redis

#: Refused messages of one address in a minute that are told why.
REFUSED_PER_MINUTE = 20
_PREFIX = "ckanext-mlops:webhook"


class TooMany(Exception):
    """There were too many messages in this minute."""


def count(name: str, limit: int) -> None:
    """Count a message.

    :param name: of what is limited
    :raises TooMany: more than ``limit`` in this minute
    """
    redis, key = connect_to_redis(), f"{_PREFIX}:{name}:{int(time.time()) // 60}"
    number = int(redis.incr(key))
    redis.expire(key, 120)
    if number > limit:
        raise TooMany


@contextmanager
def once(name: str, marks: Sequence[str], seconds: int) -> Iterator[bool]:
    """Whether a message is new: none of its marks was seen before. When the block fails it counts as never received,
    for it is sent again.

    :param name: of the receiver
    :param seconds: for which the marks are remembered
    """
    redis, keys = connect_to_redis(), [f"{_PREFIX}:seen:{name}:{mark}" for mark in marks]
    new = [key for key in keys if redis.set(key, 1, nx=True, ex=seconds)]
    try:
        yield len(new) == len(keys)
    except Exception:
        if new:
            redis.delete(*new)
        raise
