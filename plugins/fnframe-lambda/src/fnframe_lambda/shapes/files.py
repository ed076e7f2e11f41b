"""S3's notification of an object: from the files trigger, whose folders are buckets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from ..moments import milliseconds

if TYPE_CHECKING:
    from fnframe import Event

    from ..names import Account

PRINCIPAL = "fnframe"


def notification(event: Event, request_id: str, account: Account) -> dict[str, Any]:
    """An object that was created or removed. The bucket is the folder, as the trigger names it."""
    told = event.value()
    created = event.type.endswith("Created")
    name = told["bucket"]["name"]
    thing: dict[str, Any] = {"key": quote_plus(told["key"], safe="/")}
    if created:
        thing |= {"size": told.get("size", 0), "eTag": told.get("etag", "")}
    thing["sequencer"] = told.get("sequencer", "").upper()
    record = {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": account.region,
        "eventTime": milliseconds(event.time),
        "eventName": "ObjectCreated:Put" if created else "ObjectRemoved:Delete",
        "userIdentity": {"principalId": PRINCIPAL},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": request_id, "x-amz-id-2": event.id},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": event.source,
            "bucket": {
                "name": name,
                "ownerIdentity": {"principalId": PRINCIPAL},
                "arn": f"arn:aws:s3:::{name}",
            },
            "object": thing,
        },
    }
    return {"Records": [record]}
