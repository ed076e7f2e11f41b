"""Moments as AWS writes them."""

from __future__ import annotations

import datetime as dt


def milliseconds(moment: dt.datetime) -> str:
    """RFC 3339 in UTC, with milliseconds."""
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(moment: dt.datetime) -> str:
    """RFC 3339 in UTC, with whole seconds."""
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
