"""Reserved and provisioned concurrency, and what is done with asynchronous events, set by the API."""

from __future__ import annotations

import base64
import json
import threading

import pytest
from lambda_client import call, refused, until, zipped

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:"


def test_reserved_concurrency(aws, tmp_path):
    aws.make("reserved", "waits", Timeout=20, Publish=True)
    assert "ReservedConcurrentExecutions" not in aws.get_function_concurrency(FunctionName="reserved")
    told = aws.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=1)
    assert told["ReservedConcurrentExecutions"] == 1
    assert aws.get_function_concurrency(FunctionName="reserved")["ReservedConcurrentExecutions"] == 1
    assert aws.get_function(FunctionName="reserved")["Concurrency"] == {"ReservedConcurrentExecutions": 1}
    assert aws.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 999
    running = threading.Thread(target=call, args=(aws.served.client(), "reserved", str(tmp_path)))
    running.start()
    until((tmp_path / "begun").exists)
    reason = {"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded"}
    for qualifier in ("$LATEST", "1"):  # All versions together.
        with refused("TooManyRequestsException", 429, "Rate Exceeded.", **reason):
            call(aws, "reserved", str(tmp_path), Qualifier=qualifier)
    (tmp_path / "over").touch()
    running.join()
    assert "FunctionError" not in call(aws, "reserved", str(tmp_path))[0]
    aws.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=0)
    with refused("TooManyRequestsException", 429, **reason):
        call(aws, "reserved", str(tmp_path))
    aws.delete_function_concurrency(FunctionName="reserved")
    assert "FunctionError" not in call(aws, "reserved", str(tmp_path))[0]
    text = (
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        "its minimum value of [100]."
    )
    with refused("InvalidParameterValueException", 400, text):
        aws.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=901)
    aws.put_function_concurrency(FunctionName="reserved", ReservedConcurrentExecutions=900)
    aws.delete_function(FunctionName="reserved")


def test_provisioned_concurrency(aws):
    aws.make("provisioned", Publish=True)
    qualified = {"FunctionName": "provisioned", "Qualifier": "1"}
    with refused(
        "ProvisionedConcurrencyConfigNotFoundException",
        404,
        "No Provisioned Concurrency Config found for this function",
    ):
        aws.get_provisioned_concurrency_config(**qualified)
    text = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    with refused("InvalidParameterValueException", 400, text):
        aws.put_provisioned_concurrency_config(
            FunctionName="provisioned", Qualifier="$LATEST", ProvisionedConcurrentExecutions=1
        )
    told = aws.put_provisioned_concurrency_config(**qualified, ProvisionedConcurrentExecutions=2)
    assert (told["Status"], told["AllocatedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 0)
    until(lambda: aws.get_provisioned_concurrency_config(**qualified)["Status"] == "READY")
    assert aws.get_provisioned_concurrency_config(**qualified)["AvailableProvisionedConcurrentExecutions"] == 2
    response, seen = call(aws, "provisioned", Qualifier="1", LogType="Tail")
    assert seen["initialized"] == "provisioned-concurrency"
    assert "Init Duration" not in base64.b64decode(response["LogResult"]).decode()
    [listed] = aws.list_provisioned_concurrency_configs(FunctionName="provisioned")["ProvisionedConcurrencyConfigs"]
    assert listed["FunctionArn"] == f"{ARN}provisioned:1"
    aws.create_alias(FunctionName="provisioned", Name="live", FunctionVersion="1")
    text = "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
    with refused("InvalidParameterValueException", 400, text):
        aws.put_provisioned_concurrency_config(
            FunctionName="provisioned", Qualifier="live", ProvisionedConcurrentExecutions=1
        )
    text = " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2]."
    with refused("InvalidParameterValueException", 400, text):
        aws.put_function_concurrency(FunctionName="provisioned", ReservedConcurrentExecutions=1)
    aws.delete_provisioned_concurrency_config(**qualified)
    aws.put_function_concurrency(FunctionName="provisioned", ReservedConcurrentExecutions=1)
    text = "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    with refused("InvalidParameterValueException", 400, text):
        aws.put_provisioned_concurrency_config(**qualified, ProvisionedConcurrentExecutions=2)
    aws.put_provisioned_concurrency_config(
        FunctionName="provisioned", Qualifier="live", ProvisionedConcurrentExecutions=1
    )
    with refused("InvalidParameterValueException", 400, "Version is pointed by a Provisioned Concurrency alias"):
        aws.put_provisioned_concurrency_config(**qualified, ProvisionedConcurrentExecutions=1)
    assert call(aws, "provisioned:live")[1]["initialized"] == "provisioned-concurrency"
    aws.delete_function(FunctionName="provisioned")


def test_what_was_set_for_a_version_goes_with_it(aws):
    aws.make("goes", Publish=True)
    qualified = {"FunctionName": "goes", "Qualifier": "1"}
    aws.put_provisioned_concurrency_config(**qualified, ProvisionedConcurrentExecutions=1)
    aws.put_function_event_invoke_config(**qualified, MaximumRetryAttempts=0)
    aws.delete_function(**qualified)
    assert aws.list_provisioned_concurrency_configs(FunctionName="goes")["ProvisionedConcurrencyConfigs"] == []
    assert aws.list_function_event_invoke_configs(FunctionName="goes")["FunctionEventInvokeConfigs"] == []
    aws.create_alias(FunctionName="goes", Name="latest", FunctionVersion="$LATEST")
    text = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    with refused("InvalidParameterValueException", 400, text):
        aws.put_provisioned_concurrency_config(
            FunctionName="goes", Qualifier="latest", ProvisionedConcurrentExecutions=1
        )


def test_more_environments_than_the_machine_may_have(aws):
    aws.make("many", Publish=True)
    with refused("InvalidParameterValueException", 400) as caught:
        aws.put_provisioned_concurrency_config(FunctionName="many", Qualifier="1", ProvisionedConcurrentExecutions=500)
    assert "max_environments" in str(caught.value)
    assert call(aws, "many:1")[1]["initialized"] == "on-demand"


@pytest.fixture
def kept(tmp_path):
    """A file to which functions append, and what is in it."""
    file = tmp_path / "kept"
    file.touch()

    def read():
        return [json.loads(line) for line in file.read_text().splitlines()]

    read.variables = {"Variables": {"KEPT": str(file)}}
    return read


def record_in(kept):
    """The record that came to a destination."""
    return until(lambda: [event for _, event in kept() if isinstance(event, dict) and "requestContext" in event])[0]


def test_retries_and_destinations_of_events(aws, kept, tmp_path):
    aws.make("heard", "keeps", Environment=kept.variables)
    aws.make("failing", "fails", Environment=kept.variables)
    target = f"{ARN}heard"
    told = aws.put_function_event_invoke_config(
        FunctionName="failing", MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": target}}
    )
    assert told["FunctionArn"] == f"{ARN}failing:$LATEST"
    assert told["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": target}}
    assert "MaximumEventAgeInSeconds" not in told
    aws.invoke(FunctionName="failing", InvocationType="Event", Payload=b'"once more"')
    record = record_in(kept)
    assert record["requestContext"]["functionArn"] == f"{ARN}failing:$LATEST"
    assert (record["requestContext"]["condition"], record["requestContext"]["approximateInvokeCount"]) == (
        "RetriesExhausted", 2,
    )  # fmt: skip
    assert record["requestPayload"] == "once more"
    assert record["responsePayload"]["errorMessage"] == "no luck"
    assert [event for _, event in kept()].count("once more") == 2
    told = aws.update_function_event_invoke_config(FunctionName="failing", MaximumEventAgeInSeconds=60)
    assert (told["MaximumRetryAttempts"], told["MaximumEventAgeInSeconds"]) == (1, 60)
    assert told["DestinationConfig"]["OnFailure"] == {"Destination": target}
    told = aws.put_function_event_invoke_config(FunctionName="failing", MaximumRetryAttempts=0)
    assert told["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    [listed] = aws.list_function_event_invoke_configs(FunctionName="failing")["FunctionEventInvokeConfigs"]
    assert listed["MaximumRetryAttempts"] == 0
    aws.delete_function_event_invoke_config(FunctionName="failing")
    text = f"The function {ARN}failing:$LATEST doesn't have an EventInvokeConfig"
    with refused("ResourceNotFoundException", 404, text):
        aws.get_function_event_invoke_config(FunctionName="failing")


def test_an_alias_says_itself_what_is_done_with_events(aws, kept):
    aws.make("listens", "keeps", Environment=kept.variables)
    aws.make("by-alias", "fails", Environment=kept.variables, Publish=True)
    aws.create_alias(FunctionName="by-alias", Name="live", FunctionVersion="1")
    aws.put_function_event_invoke_config(
        FunctionName="by-alias", Qualifier="live", MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": f"{ARN}listens"}},
    )  # fmt: skip
    aws.invoke(FunctionName="by-alias", Qualifier="live", InvocationType="Event", Payload=b'"by alias"')
    record = record_in(kept)
    assert (record["requestContext"]["approximateInvokeCount"], record["responseContext"]["executedVersion"]) == (
        1,
        "1",
    )
    assert record["requestContext"]["functionArn"] == f"{ARN}by-alias:live"
    aws.invoke(FunctionName="by-alias", InvocationType="Event", Payload=b'"as ever"')
    until(lambda: [event for _, event in kept()].count("as ever") == 3)


def test_what_cannot_be_done_with_events(aws):
    aws.make("odd")
    text = "You must specify at least one of error handling or destination setting."
    with refused("InvalidParameterValueException", 400, text):
        aws.put_function_event_invoke_config(FunctionName="odd")
    with refused("InvalidParameterValueException", 400, "You can't specify the function as a destination for itself."):
        aws.put_function_event_invoke_config(
            FunctionName="odd", DestinationConfig={"OnFailure": {"Destination": f"{ARN}odd"}}
        )
    for arn in ("arn:aws:sns:us-east-1:000000000000:topic", f"{ARN}nowhere", f"{ARN}heard:nowhere"):
        with refused("InvalidParameterValueException", 400, f"The destination ARN {arn} is invalid."):
            aws.put_function_event_invoke_config(
                FunctionName="odd", DestinationConfig={"OnSuccess": {"Destination": arn}}
            )
    with refused("ResourceNotFoundException", 404, "The function doesn't exist."):
        aws.put_function_event_invoke_config(FunctionName="nowhere", MaximumRetryAttempts=1)
    with refused("ResourceNotFoundException", 404, "The function doesn't exist."):
        aws.list_function_event_invoke_configs(FunctionName="nowhere")


def test_a_destination_follows_the_alias_that_it_names(aws, kept):
    aws.make("target", "keeps", Environment=kept.variables, Publish=True)
    aws.create_alias(FunctionName="target", Name="live", FunctionVersion="1")
    aws.make("sender", "logs")
    aws.put_function_event_invoke_config(
        FunctionName="sender", DestinationConfig={"OnSuccess": {"Destination": f"{ARN}target:live"}}
    )
    aws.update_function_code(FunctionName="target", ZipFile=zipped(made=aws.source + "\n"), Publish=True)
    for version in ("1", "2"):
        aws.update_alias(FunctionName="target", Name="live", FunctionVersion=version)
        aws.invoke(FunctionName="sender", InvocationType="Event", Payload=version.encode())
        until(lambda: [ran for ran, event in kept() if event["requestPayload"] == int(version)] == [version])  # noqa: B023
