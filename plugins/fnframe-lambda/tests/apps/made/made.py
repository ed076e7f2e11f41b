"""The code that the tests upload."""

import json
import logging
import os
import time
from pathlib import Path

WORD = "first"


def tells(event, context):
    return {
        "word": WORD,
        "event": event,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "variables": {name: os.environ.get(name) for name in ("COLOUR", "TZ", "AWS_REGION", "AWS_EXECUTION_ENV")},
        "cwd": os.getcwd(),
        "initialized": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
        "pid": os.getpid(),
    }


def keeps(event, context):
    """Append what came to a file."""
    with open(os.environ["KEPT"], "a") as kept:
        kept.write(json.dumps([context.function_version, event]) + "\n")
    return {}


def fails(event, context):
    keeps(event, context)
    raise ValueError("no luck")


def names(event, context):
    """Name all of a batch as failed; of a queue, what comes for the first time."""
    keeps(event, context)
    bad = [
        record["messageId"] if "messageId" in record else record["kinesis"]["sequenceNumber"]
        for record in event["Records"]
        if record.get("attributes", {}).get("ApproximateReceiveCount", "1") == "1"
    ]
    return {"batchItemFailures": [{"itemIdentifier": name} for name in bad]}


def waits(event, context):
    Path(event, "begun").touch()
    while not Path(event, "over").exists():
        time.sleep(0.005)


def logs(event, context):
    logging.getLogger().info("working %s", context.log_group_name)
    return event


def answers(event, context):
    """What a function URL was asked; or the answer that its body asks for."""
    if event.get("body") and not event["isBase64Encoded"]:
        return json.loads(event["body"])
    return event


def breaks(event, context):
    raise ValueError("no luck")
