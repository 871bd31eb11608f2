"""Numbers as Solr strings that sort like the numbers: CKAN's stock schema has no field type for a metric.

A metric is a field of its own, named after it; the schema's last rule (``*``) makes it an indexed string.
"""

from __future__ import annotations

import math
import re
import struct

PREFIX = "mlops_number_"
MAX_NAME = 100
_SIGN = 1 << 63
_ALL = (1 << 64) - 1
_OTHER = re.compile(r"[^A-Za-z0-9]+")


def sortable(number: float) -> str:
    """Sixteen hexadecimal digits that compare as text as IEEE 754 doubles compare as numbers.

    Negative numbers have all bits turned, others the sign: the order of the bits is then that of the numbers.

    :raises ValueError: not a number
    """
    if math.isnan(number):
        raise ValueError("NaN has no place in an order")
    bits = struct.unpack(">Q", struct.pack(">d", number + 0.0))[0]  # + 0.0: one zero
    return f"{bits ^ _ALL if bits & _SIGN else bits | _SIGN:016x}"


def field(name: str) -> str:
    """The Solr field of a metric or param: ``eval.f1-score`` → ``mlops_number_eval_f1_score``."""
    return PREFIX + _OTHER.sub("_", name)[:MAX_NAME]
