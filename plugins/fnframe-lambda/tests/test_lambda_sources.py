"""Event source mappings: queues and streams of the app feed functions that the API made."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
from aws_lambda_powertools.utilities import data_classes
from lambda_client import call, read, refused, until

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:"
STREAM = "arn:aws:kinesis:us-east-1:000000000000:stream/"
TABLE = "arn:aws:dynamodb:us-east-1:000000000000:table/"


@pytest.fixture
def kept(tmp_path):
    """A file to which functions append, and the events in it."""
    file = tmp_path / "kept"
    file.touch()

    def read():
        return [json.loads(line)[1] for line in file.read_text().splitlines()]

    def records():
        return [record for event in read() for record in event["Records"]]

    read.records = records
    read.variables = {"Variables": {"KEPT": str(file)}}
    return read


@pytest.fixture
def send(aws):
    def send(target, *messages, key=None):
        outcome, _ = call(aws, "sends", [[target, message, key] for message in messages])
        assert "FunctionError" not in outcome

    return send


def test_a_queue_feeds_a_function(aws, kept, send):
    aws.make("queued", "keeps", Environment=kept.variables)
    made = aws.create_event_source_mapping(EventSourceArn=f"{QUEUE}orders", FunctionName="queued", BatchSize=5)
    assert (made["State"], made["StateTransitionReason"], made["BatchSize"]) == ("Creating", "USER_INITIATED", 5)
    assert (made["FunctionArn"], made["FunctionResponseTypes"]) == (f"{ARN}queued", [])
    assert made["EventSourceMappingArn"].endswith(f":event-source-mapping:{made['UUID']}")
    assert "StartingPosition" not in made
    assert isinstance(made["LastModified"], dt.datetime)
    send("orders", {"number": 1}, {"number": 2})
    until(lambda: len(kept.records()) == 2)
    read(data_classes.SQSEvent({"Records": kept.records()}))
    record = kept.records()[0]
    assert (record["eventSource"], record["eventSourceARN"]) == ("aws:sqs", f"{QUEUE}orders")
    assert sorted(json.loads(record["body"])["number"] for record in kept.records()) == [1, 2]
    got = aws.get_event_source_mapping(UUID=made["UUID"])
    assert got["State"] == "Enabled"
    disabled = aws.update_event_source_mapping(UUID=made["UUID"], Enabled=False, BatchSize=1)
    assert (disabled["State"], disabled["BatchSize"]) == ("Disabling", 1)
    assert aws.get_event_source_mapping(UUID=made["UUID"])["State"] == "Disabled"
    deleted = aws.delete_event_source_mapping(UUID=made["UUID"])
    assert deleted["State"] == "Deleting"
    with refused("ResourceNotFoundException", 404, "The resource you requested does not exist."):
        aws.get_event_source_mapping(UUID=made["UUID"])


def test_what_waits_while_a_mapping_is_disabled_comes_later(aws, kept, send):
    aws.make("later", "keeps", Environment=kept.variables)
    made = aws.create_event_source_mapping(EventSourceArn=f"{QUEUE}later", FunctionName="later", Enabled=False)
    assert made["State"] == "Creating"
    send("later", "wait")
    assert aws.get_event_source_mapping(UUID=made["UUID"])["State"] == "Disabled"
    assert kept() == []
    assert aws.update_event_source_mapping(UUID=made["UUID"], Enabled=True)["State"] == "Enabling"
    until(lambda: len(kept.records()) == 1)


def test_a_queue_delivers_again_what_failed(aws, kept, send):
    aws.make("again", "fails", Environment=kept.variables)
    aws.create_event_source_mapping(EventSourceArn=f"{QUEUE}again", FunctionName="again")
    send("again", "x")
    until(lambda: len(kept.records()) >= 4)
    counts = [int(record["attributes"]["ApproximateReceiveCount"]) for record in kept.records()]
    assert counts[:4] == [1, 2, 3, 4]
    aws.delete_function(FunctionName="again")


@pytest.mark.parametrize("source", [f"{QUEUE}named", f"{STREAM}named"])
def test_failures_are_named_only_where_the_mapping_says_so(aws, kept, send, source):
    """In the order of a group, or of a key: what comes next says that what came before is over."""
    function = f"names-{source.split(':')[2]}"
    target = "named" if source.startswith(QUEUE) else "stream:named"
    start = {} if source.startswith(QUEUE) else {"StartingPosition": "TRIM_HORIZON", "MaximumRetryAttempts": 1}
    aws.make(function, "names", Environment=kept.variables)
    made = aws.create_event_source_mapping(EventSourceArn=source, FunctionName=function, BatchSize=1, **start)
    send(target, 1, 2, key="k")

    def bodies():
        return [
            int(record["body"] if "body" in record else base64.b64decode(record["kinesis"]["data"]))
            for record in kept.records()
        ]

    until(lambda: 2 in bodies())
    assert bodies() == [1, 2]
    told = aws.update_event_source_mapping(UUID=made["UUID"], FunctionResponseTypes=["ReportBatchItemFailures"])
    assert told["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    send(target, 3, 4, key="k")
    until(lambda: bodies().count(4) == 2)
    assert bodies() == [1, 2, 3, 3, 4, 4]


def test_filters_see_records_as_those_of_sqs(aws, kept, send):
    aws.make("chosen", "keeps", Environment=kept.variables)
    patterns = [{"body": {"size": [{"numeric": [">", 10]}]}}, {"body": ["go"]}]
    made = aws.create_event_source_mapping(
        EventSourceArn=f"{QUEUE}chosen", FunctionName="chosen",
        FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)} for pattern in patterns]},
    )  # fmt: skip
    assert [json.loads(each["Pattern"]) for each in made["FilterCriteria"]["Filters"]] == patterns
    send("chosen", {"size": 5}, {"size": 50}, "stay", "go", {"other": 1})
    until(lambda: len(kept.records()) == 2)
    assert sorted(record["body"] for record in kept.records()) == ['"go"', '{"size":50}']


def test_a_stream_feeds_a_function_in_order(aws, kept, send):
    send("stream:clicks", *range(3), key="a")
    aws.make("streamed", "keeps", Environment=kept.variables)
    made = aws.create_event_source_mapping(
        EventSourceArn=f"{STREAM}clicks", FunctionName="streamed", StartingPosition="TRIM_HORIZON", BatchSize=2
    )
    expected = {
        "BatchSize": 2, "BisectBatchOnFunctionError": False, "DestinationConfig": {"OnFailure": {}},
        "FunctionResponseTypes": [], "LastProcessingResult": "No records processed",
        "MaximumBatchingWindowInSeconds": 0, "MaximumRecordAgeInSeconds": -1, "MaximumRetryAttempts": -1,
        "ParallelizationFactor": 1, "StartingPosition": "TRIM_HORIZON", "State": "Creating",
        "StateTransitionReason": "User action", "TumblingWindowInSeconds": 0,
    }  # fmt: skip
    assert {name: made[name] for name in expected} == expected
    send("stream:clicks", 3, key="a")
    until(lambda: len(kept.records()) == 4)
    read(data_classes.KinesisStreamEvent({"Records": kept.records()}))
    told = [record["kinesis"] for record in kept.records()]
    assert [json.loads(base64.b64decode(each["data"])) for each in told] == [0, 1, 2, 3]
    assert {each["partitionKey"] for each in told} == {"a"}
    with refused("ResourceConflictException", 409) as caught:
        aws.create_event_source_mapping(
            EventSourceArn=f"{STREAM}clicks", FunctionName="streamed", StartingPosition="LATEST"
        )
    assert str(caught.value).endswith(
        f'An event source mapping with kinesis arn (" {STREAM}clicks ") and function (" streamed ") already exists. '
        f"Please update or delete the existing mapping with UUID {made['UUID']}"
    )


def test_filters_see_records_as_those_of_kinesis(aws, kept, send):
    aws.make("picked", "keeps", Environment=kept.variables)
    pattern = {"data": {"good": [True]}, "partitionKey": ["a"]}
    aws.create_event_source_mapping(
        EventSourceArn=f"{STREAM}picked", FunctionName="picked", StartingPosition="TRIM_HORIZON",
        FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]},
    )  # fmt: skip
    send("stream:picked", {"good": False}, {"good": True, "n": 1}, key="a")
    send("stream:picked", {"good": True, "n": 2}, key="b")
    send("stream:picked", {"good": True, "n": 3}, key="a")
    until(lambda: len(kept.records()) == 2)
    bodies = [json.loads(base64.b64decode(record["kinesis"]["data"])) for record in kept.records()]
    assert [body["n"] for body in bodies] == [1, 3]


def test_a_stream_as_changes_of_a_table(aws, kept, send):
    aws.make("changed", "keeps", Environment=kept.variables)
    pattern = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"size": {"N": ["7"]}}}}
    aws.create_event_source_mapping(
        EventSourceArn=f"{TABLE}things/stream/2026-01-01T00:00:00.000", FunctionName="changed",
        StartingPosition="TRIM_HORIZON", FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]},
    )  # fmt: skip
    send("stream:things", {"size": 6}, {"size": 7}, key="k")
    until(lambda: len(kept.records()) == 1)
    read(data_classes.DynamoDBStreamEvent({"Records": kept.records()}))
    [record] = kept.records()
    assert (record["eventSource"], record["eventName"]) == ("aws:dynamodb", "INSERT")
    assert record["dynamodb"]["NewImage"] == {"size": {"N": "7"}}
    assert record["eventSourceARN"].startswith(f"{TABLE}things/stream/")


def test_a_stream_gives_up_and_tells_where(aws, kept, send):
    aws.make("gives-up", "fails", Environment=kept.variables)
    aws.make("told", "keeps", Environment=kept.variables)
    made = aws.create_event_source_mapping(
        EventSourceArn=f"{STREAM}bad", FunctionName="gives-up", StartingPosition="TRIM_HORIZON", MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": f"{QUEUE}given-up"}},
    )  # fmt: skip
    assert made["DestinationConfig"] == {"OnFailure": {"Destination": f"{QUEUE}given-up"}}
    aws.create_event_source_mapping(EventSourceArn=f"{QUEUE}given-up", FunctionName="told")
    send("stream:bad", "x", key="k")
    [told] = until(lambda: [record for record in kept.records() if record["eventSource"] == "aws:sqs"])
    body = json.loads(told["body"])
    assert (body["requestContext"]["condition"], body["requestContext"]["approximateInvokeCount"]) == (
        "RetryAttemptsExhausted", 2,
    )  # fmt: skip
    assert body["requestContext"]["functionArn"] == f"{ARN}gives-up"
    assert body["KinesisBatchInfo"]["streamArn"] == f"{STREAM}bad"
    assert body["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"}


def test_a_mapping_of_an_alias_follows_it_where_it_was(aws, kept, send):
    aws.make("follows", "keeps", Environment=kept.variables, Publish=True)
    aws.create_alias(FunctionName="follows", Name="live", FunctionVersion="1")
    made = aws.create_event_source_mapping(
        EventSourceArn=f"{STREAM}followed", FunctionName="follows:live", StartingPosition="TRIM_HORIZON"
    )
    assert made["FunctionArn"] == f"{ARN}follows:live"
    send("stream:followed", 1, key="k")
    until(lambda: len(kept.records()) == 1)
    aws.update_function_configuration(FunctionName="follows", MemorySize=160)
    aws.publish_version(FunctionName="follows")
    aws.update_alias(FunctionName="follows", Name="live", FunctionVersion="2")
    send("stream:followed", 2, key="k")
    until(lambda: len(kept.records()) == 2)
    data = [json.loads(base64.b64decode(record["kinesis"]["data"])) for record in kept.records()]
    assert data == [1, 2]


def test_the_apps_own_functions_can_be_fed_too(aws):
    made = aws.create_event_source_mapping(EventSourceArn=f"{QUEUE}own", FunctionName="native")
    assert made["FunctionArn"] == f"{ARN}native"
    aws.delete_event_source_mapping(UUID=made["UUID"])


def test_lists_of_mappings(aws):
    aws.make("listed")
    made = [
        aws.create_event_source_mapping(EventSourceArn=f"{QUEUE}listed-{n}", FunctionName="listed", Enabled=False)
        for n in range(3)
    ]
    uuids = sorted(each["UUID"] for each in made)
    page = aws.list_event_source_mappings(FunctionName="listed", MaxItems=2)
    rest = aws.list_event_source_mappings(FunctionName="listed", Marker=page["NextMarker"])
    assert [each["UUID"] for each in page["EventSourceMappings"] + rest["EventSourceMappings"]] == uuids
    assert "NextMarker" not in rest
    [only] = aws.list_event_source_mappings(EventSourceArn=f"{QUEUE}listed-1")["EventSourceMappings"]
    assert only["UUID"] == made[1]["UUID"]
    aws.tag_resource(Resource=only["EventSourceMappingArn"], Tags={"a": "b"})
    assert aws.list_tags(Resource=only["EventSourceMappingArn"])["Tags"] == {"a": "b"}


def test_what_cannot_be_mapped(aws):
    aws.make("mapped")

    def make(arn=f"{QUEUE}wrong", **options):
        return aws.create_event_source_mapping(**{"EventSourceArn": arn, "FunctionName": "mapped", **options})

    with refused("InvalidParameterValueException", 400, "Unrecognized event source."):
        make("arn:aws:kafka:us-east-1:000000000000:cluster/x")
    with refused("InvalidParameterValueException", 400, "Function does not exist"):
        make(FunctionName="nowhere")
    text = (
        "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: Member must not "
        "be null."
    )
    with refused("ValidationException", 400, text):
        make(f"{STREAM}s")
    for pattern in ("none", '{"eventSource": "aws:sqs"}', '{"eventSource": []}', "[]", "null"):
        with refused("InvalidParameterValueException", 400, "Invalid filter pattern definition."):
            make(FilterCriteria={"Filters": [{"Pattern": pattern}]})
    for problem, options in {
        "Maximum batch window in seconds must be greater than 0": {"BatchSize": 11},
        "BisectBatchOnFunctionError: this is for streams": {"BisectBatchOnFunctionError": True},
        "ProvisionedPollerConfig would have no effect": {"ProvisionedPollerConfig": {"MinimumPollers": 1}},
        "DestinationConfig: this is for streams": {"DestinationConfig": {"OnFailure": {"Destination": f"{QUEUE}x"}}},
    }.items():
        with refused("InvalidParameterValueException", 400) as caught:
            make(**options)
        assert problem in str(caught.value)
    for options in ({"BatchSize": 11}, {"MaximumBatchingWindowInSeconds": 1}):
        with refused("InvalidParameterValueException", 400) as caught:
            make(f"{QUEUE}orders.fifo", **options)
        assert "for FIFO queues" in str(caught.value)
    with refused("InvalidParameterValueException", 400):
        make(f"{STREAM}s", StartingPosition="LATEST", TumblingWindowInSeconds=5, ParallelizationFactor=2)
    with refused("InvalidParameterValueException", 400):
        make(f"{TABLE}t", StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1)
    made = make(f"{STREAM}at", StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=1_700_000_000, Enabled=False)
    assert made["StartingPositionTimestamp"].timestamp() == 1_700_000_000
