"""Events and results as JSON, with the corners of AWS's own encoder."""

from __future__ import annotations

import math
import os
from decimal import Decimal
from typing import Any

import simplejson
from simplejson.raw_json import RawJSON

ESCAPES_UNTIL = 12
"""From Python 3.12 on Lambda's runtime sends UTF-8, before it escapes what is not ASCII."""


class _Encoder(simplejson.JSONEncoder):
    def default(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            # simplejson's own way writes `-NaN`, which nobody can read.
            return math.nan if value.is_nan() else RawJSON(str(value))
        return super().default(value)


def encoder() -> Any:
    """What encodes a result to text. Raises `TypeError` or `ValueError` for what is no JSON."""
    minor = os.environ.get("AWS_EXECUTION_ENV", "").rpartition("python3.")[2]
    utf8 = minor.isdigit() and int(minor) >= ESCAPES_UNTIL
    return _Encoder(use_decimal=False, ensure_ascii=not utf8, allow_nan=True).encode


decode = simplejson.loads
