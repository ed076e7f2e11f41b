"""SNS's notification: any event as a message of a topic that is named like its source."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from ..moments import milliseconds
from .records import bodies

if TYPE_CHECKING:
    from fnframe import Event

    from ..names import Account

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


def sns(event: Event, account: Account) -> dict[str, Any]:
    """A notification, one record for each message: one, except in a batch."""
    messages = bodies(event)
    return {"Records": [_record(event, account, id_, body) for id_, body in messages]}


def _record(event: Event, account: Account, id_: str, body: bytes) -> dict[str, Any]:
    topic = _NOT_IN_NAMES.sub("-", event.source.rpartition(":")[2] or event.source).strip("-") or "fnframe"
    arn = f"arn:aws:sns:{account.region}:{account.id}:{topic}"
    try:
        message = body.decode()
    except UnicodeDecodeError:
        message = base64.b64encode(body).decode()
    return {
        "EventVersion": "1.0",
        "EventSubscriptionArn": f"{arn}:{id_}",
        "EventSource": "aws:sns",
        "Sns": {
            "SignatureVersion": "1",
            "Timestamp": milliseconds(event.time),
            "Signature": "",
            "SigningCertUrl": "",
            "MessageId": id_,
            "Message": message,
            "MessageAttributes": {},
            "Type": "Notification",
            "UnsubscribeUrl": "",
            "TopicArn": arn,
            "Subject": event.subject,
        },
    }
