import json


def seen(event, context):
    return event


def answers(event, context):
    return json.loads(event["body"])


def partly(event, context):
    """Fails for each message whose body says so, the first time it comes."""
    bad = [
        record["messageId"]
        for record in event["Records"]
        if record["body"] == '"bad"' and record["attributes"]["ApproximateReceiveCount"] == "1"
    ]
    return {"event": event, "batchItemFailures": [{"itemIdentifier": name} for name in bad]}
