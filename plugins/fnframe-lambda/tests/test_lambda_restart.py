"""What the API answered is there again when the process was killed right behind the answer."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fnframe_lambda import Endpoint, endpoint
from lambda_client import Aws, call, until

READY = "Invoke API at "


@pytest.fixture
def app_folder(kit, tmp_path):
    return Path(shutil.copytree(kit.APPS / "made", tmp_path / "app"))


def test_what_waits_for_an_event_source_mapping_is_worked_off_until_idle(app_folder, tmp_path):
    kept = tmp_path / "kept"
    with endpoint(str(app_folder)) as served:
        aws = Aws(served, app_folder)
        aws.make("queued", "keeps", Environment={"Variables": {"KEPT": str(kept)}})
        arn = "arn:aws:sqs:us-east-1:000000000000:orders"
        aws.create_event_source_mapping(EventSourceArn=arn, FunctionName="queued")
    for arguments in (["send", app_folder, "orders", "--data", "5"], ["run", app_folder, "--until-idle"]):
        done = subprocess.run(
            [sys.executable, "-m", "fnframe.cli", *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    assert "queued" in done.stdout
    ((_, event),) = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [record["body"] for record in event["Records"]] == ["5"]


def test_after_a_kill_nothing_that_was_answered_is_lost(app_folder, tmp_path):
    """The process is killed right behind the answer; an event that it accepted runs in the next one."""
    begun = tmp_path / "begun"
    command = [sys.executable, "-m", "fnframe.cli", "lambda", "serve", str(app_folder), "--port", "0"]
    command += ["--set", "lambda.retry_delays=[]", "--set", "lease=1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        url = next(line for line in process.stdout if READY in line).partition(READY)[2].strip()
        aws = Aws(Endpoint(url, []), app_folder)
        aws.make("killed", "waits", Timeout=30)
        aws.invoke(FunctionName="killed", InvocationType="Event", Payload=json.dumps(str(tmp_path)).encode())
        until(begun.exists)
        aws.make("newest")
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    begun.unlink()
    with endpoint(str(app_folder)) as served:
        aws = Aws(served, app_folder)
        assert call(aws, "newest")[1]["word"] == "first"
        until(begun.exists)
        (tmp_path / "over").touch()
