"""EventBridge: scheduled events of the cron trigger, and any event as one of a bus."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

from ..moments import seconds

if TYPE_CHECKING:
    from fnframe import Event

    from ..names import Account


def scheduled(event: Event, account: Account) -> Any:
    """The firing of a schedule. Data that the schedule was added with takes the place of the whole event, as a target's
    constant input does."""
    tick = event.value()
    if tick.get("data") is not None:
        return tick["data"]
    rule = f"arn:aws:events:{account.region}:{account.id}:rule/{tick.get('schedule', '')}"
    moment = dt.datetime.fromisoformat(tick["scheduled"])
    return _event(event, account, "Scheduled Event", "aws.events", moment, [rule], {})


def envelope(event: Event, account: Account) -> dict[str, Any]:
    """Any event: its type is the detail type, its data the detail."""
    resources = [event.subject] if event.subject else []
    return _event(event, account, event.type, event.source, event.time, resources, event.value())


def _event(
    event: Event, account: Account, kind: str, source: str, moment: dt.datetime, resources: list[str], detail: Any
) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{event.source} {event.id}")),
        "detail-type": kind,
        "source": source,
        "account": account.id,
        "time": seconds(moment),
        "region": account.region,
        "resources": resources,
        "detail": detail,
    }
