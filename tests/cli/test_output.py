"""Where the output goes: a terminal, a pipe, a reader that went away, a full disk, nowhere."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from ..conftest import COMMAND, ENVIRONMENT

WRITERS = [
    ["--help"],
    ["--version"],
    ["run", "--help"],
    ["functions", "demo"],
    ["functions", "demo", "--format", "json"],
    ["plugins", "demo"],
    ["invoke", "demo", "echo"],
    ["run", "demo", "--until-idle"],
]
LONG = "this is bad " * 20


@pytest.fixture
def run_into(tmp_path, demo):
    """Run a command with this standard output; its exit status and standard error."""
    (demo / "in" / "good.txt").write_text("1")

    def run_into(output, *arguments, unbuffered="1"):
        result = subprocess.run(
            [*COMMAND, *arguments],
            cwd=tmp_path,
            env=ENVIRONMENT | {"PYTHONUNBUFFERED": unbuffered},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=90,
            check=False,
        )
        return result.returncode, result.stderr

    return run_into


@pytest.fixture
def unread():
    """A pipe whose reader went away."""
    ours, theirs = os.pipe()
    os.close(ours)
    yield theirs
    os.close(theirs)


@pytest.mark.parametrize("arguments", WRITERS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_a_reader_that_goes_away_is_no_error(run_into, unread, arguments, unbuffered):
    status, errors = run_into(unread, *arguments, unbuffered=unbuffered)
    assert status == 141
    assert not [line for line in errors.splitlines() if "Pipe" in line or "Traceback" in line or "error" in line]


@pytest.mark.parametrize("arguments", WRITERS, ids=" ".join)
@pytest.mark.parametrize("unbuffered", ["1", ""])
def test_a_full_disk_is_one_message_and_status_1(run_into, arguments, unbuffered):
    with open("/dev/full", "w") as full:
        status, errors = run_into(full, *arguments, unbuffered=unbuffered)
    assert status == 1
    assert errors.splitlines()[-1] == "error: standard output cannot be written to: No space left on device"
    assert "Traceback" not in errors


@pytest.mark.parametrize("arguments", WRITERS, ids=" ".join)
def test_an_output_that_was_closed_before_is_no_error(demo, tmp_path, arguments):
    command = ["bash", "-c", '"$@" >&-', "bash", *COMMAND, *arguments]
    result = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


def test_a_message_that_nobody_hears_keeps_its_status(demo, tmp_path, unread):
    command = [*COMMAND, "functions", "nowhere"]
    result = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, stdout=unread, stderr=unread, check=False)
    assert result.returncode == 2


def test_what_was_handled_before_the_reader_left_is_remembered(fnframe, run_into, unread):
    assert run_into(unread, "run", "demo", "--until-idle") == (141, "")
    assert fnframe("run", "demo", "--until-idle").stdout.startswith("nothing new")


@pytest.mark.parametrize(("output", "status"), [("unread", 141), ("full", 1)])
def test_an_app_serves_on_when_its_log_is_lost(demo, tmp_path, unread, output, status):
    with open("/dev/full", "w") as full:
        run = subprocess.Popen(
            [*COMMAND, "run", "demo"],
            cwd=tmp_path,
            env=ENVIRONMENT,
            stdout=unread if output == "unread" else full,
            stderr=subprocess.PIPE,
            text=True,
        )
    lines = iter(run.stderr)
    assert any("door: lines written to pipe" in line for line in lines)
    with (demo / "pipe").open("w") as pipe:
        pipe.write("1")
    assert any("log lines are lost: " in line for line in lines)
    run.send_signal(signal.SIGTERM)
    rest = "".join(lines)
    assert run.wait(30) == status
    assert "fnframe: ended\n" in rest
    assert "Traceback" not in rest
    run.stderr.close()


def test_lines_in_a_pipe_are_whole_and_end_where_their_text_does(fnframe, wordy):
    for arguments in (["functions", "demo"], ["plugins", "demo"], ["run", "demo", "--until-idle"]):
        lines = fnframe(*arguments, environ={"COLUMNS": ""}).stdout.splitlines()
        assert [line for line in lines if line != line.rstrip()] == []
    assert any(line.endswith(f"rotten.txt: ValueError: {LONG.strip()}") for line in lines)
    assert f"    ValueError: {LONG.strip()}" in lines
    assert "  count |" in lines
    assert any(line.startswith("not served: ") and line.endswith("without --until-idle") for line in lines)


def test_lines_on_a_terminal_keep_to_its_width(on_terminal, wordy):
    for arguments in (["functions", "demo"], ["run", "demo", "--until-idle"], ["run", "demo", "--until-idle"]):
        lines = on_terminal(*arguments)
        assert max(map(len, lines)) <= 80


@pytest.fixture
def wordy(demo):
    """The app, with a function that prints an empty line and fails at length."""
    app = (demo / "app.py").read_text()
    app = app.replace('print("counting", event["name"])', "print()").replace("this text is bad", LONG)
    (demo / "app.py").write_text(app)
    (demo / "in" / "rotten.txt").write_text("bad")
