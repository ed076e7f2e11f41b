import json
import logging
import os
import sys
import time
from collections import namedtuple
from decimal import Decimal
from pathlib import Path

print("imported", __name__)
COUNT = 0
Point = namedtuple("Point", "x y")


def echo(event, context):
    return event


def about(event, context):
    client = context.client_context
    return {
        "repr": repr(context),
        "remaining": context.get_remaining_time_in_millis(),
        "custom": client and client.custom,
        "client": client and repr(client),
        "identity": [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        "w3c": context.w3c(),
        "variables": {name: text for name, text in os.environ.items() if name != "PATH"},
        "cwd": os.getcwd(),
        **{
            name: getattr(context, name)
            for name in (
                "aws_request_id",
                "function_name",
                "function_version",
                "invoked_function_arn",
                "memory_limit_in_mb",
                "log_group_name",
                "log_stream_name",
                "tenant_id",
            )
        },
    }


class Custom(Exception):
    pass


def does(event, context):
    global COUNT
    COUNT += 1
    marks = Path(os.environ["TMPDIR"]) / "marks"
    what, *rest = event if isinstance(event, list) else [event]
    if what == "raise":
        raise Custom("no luck ü")
    if what == "raise_empty":
        raise ValueError
    if what == "exit":
        sys.exit(*rest)
    if what == "kill":
        os.kill(os.getpid(), rest[0])
    if what == "wait":
        begun, over = map(Path, rest)
        begun.touch()
        while not over.exists():
            time.sleep(0.005)
        return None
    if what == "sleep":
        marks.write_text("was here")
        time.sleep(60)
    if what == "allocate":
        return len(bytes(range(256)) * 4096 * 400)
    if what == "count":
        return [COUNT, marks.exists(), context.log_stream_name]
    if what == "sized":
        return "x" * rest[0]
    return {
        "set": {1},
        "bytes": b"\x00raw",
        "none": None,
        "nan": float("nan"),
        "decimal": {"a": Decimal("1.10"), "b": Decimal("NaN")},
        "tuple": Point(1, 2),
        "text": "ü",
    }[what]


def logs(event, context):
    logging.getLogger().setLevel("INFO")
    print("printed")
    logging.info("hello %s", "you", extra={"order": 7})
    logging.getLogger("a.b").warning("careful")
    context.log("as it is\n")
    try:
        raise ValueError("inner")
    except ValueError:
        logging.exception("it failed")
    if event:
        raise Custom("out")
    return json.dumps("done")


def prints(event, context):
    print("x" * event)
