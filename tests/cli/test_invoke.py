"""`fnframe invoke`: results on standard output, the log on standard error, and the exit status."""

from __future__ import annotations

import json
import subprocess

import pytest

from ..conftest import COMMAND, ENVIRONMENT


def test_the_result_is_raw_json_and_the_report_is_beside_it(fnframe, demo):
    result = fnframe("invoke", "demo", "echo", "--data", '{"a": [1, "ü"]}')
    assert (result.returncode, result.stdout) == (0, '{"a":[1,"ü"]}\n')
    lines = [line for line in result.stderr.splitlines() if not line.startswith("fnframe.")]
    assert [line.partition(" ")[0] for line in lines] == ["START", "END", "REPORT"]
    assert "Memory Size: 128 MB" in lines[2]


def test_what_the_function_prints_is_not_its_result(fnframe, demo):
    result = fnframe("invoke", "demo", "talk")
    assert (result.returncode, result.stdout) == (0, '{"ok":true}\n')
    assert "to standard output\n" in result.stderr
    assert "to standard error\n" in result.stderr


def test_data_comes_from_a_file_or_from_standard_input(fnframe, demo, tmp_path):
    (tmp_path / "event.json").write_text("[1]")
    assert fnframe("invoke", "demo", "echo", "--data", "@event.json").stdout == "[1]\n"
    assert fnframe("invoke", "demo", "echo", "--data", "-", input="[2]").stdout == "[2]\n"
    assert fnframe("invoke", "demo", "echo", "--data", "-3").stdout == "-3\n"
    assert fnframe("invoke", "demo", "echo").stdout == "null\n"


def test_a_whole_event_may_be_given(fnframe, demo):
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {"x": 1}}
    assert fnframe("invoke", "demo", "echo", "--event", "--data", json.dumps(event)).stdout == '{"x":1}\n'


@pytest.mark.parametrize(
    ("event", "missing"),
    [
        ('{"id": "1", "source": "s", "type": "t"}', "expected a CloudEvent of specversion 1.0, found none"),
        ('{"specversion": "1.0", "id": "1", "type": "t"}', "needs the attribute 'source'"),
        ("[]", "Expected `object`, got `array`"),
    ],
)
def test_a_whole_event_that_is_none_is_told_with_what_is_missing(fnframe, demo, event, missing):
    result = fnframe("invoke", "demo", "echo", "--event", "--data", event)
    assert result.returncode == 2
    assert result.stderr.startswith("error: --event: ")
    assert missing in result.stderr
    example = result.stderr.rpartition("The least that an event has: ")[2]
    assert fnframe("invoke", "demo", "echo", "--event", "--data", example).returncode == 0


def test_bytes_are_written_as_they_are(demo, tmp_path):
    command = [*COMMAND, "invoke", "demo", "blob"]
    result = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, check=False)
    assert result.stdout == b"\x89PNG"


def test_a_function_error_is_status_1_with_its_stack(fnframe, demo):
    result = fnframe("invoke", "demo", "fail", "--data", "3")
    assert (result.returncode, result.stdout) == (1, "")
    assert "[ERROR] ValueError: cannot do 3\nTraceback" in result.stderr
    assert 'raise ValueError(f"cannot do {event!r}")' in result.stderr
    assert "fnframe/environment" not in result.stderr


def test_a_timeout_is_status_1(fnframe, demo):
    result = fnframe("invoke", "demo", "slow")
    assert result.returncode == 1
    assert "Task timed out after 0.20 seconds" in result.stderr
    assert "\tStatus: timeout\t" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ecko"], "no function 'ecko', did you mean 'echo'?"),
        (["echo", "--data", '{"a": 1 "b"}'], 'line 1, column 9\n\n  {"a": 1 "b"}\n          ^'),
        (["echo", "--data", ""], "--data is not JSON"),
        (["echo", "--data", "@nowhere.json"], "--data @nowhere.json: No such file or directory"),
        (["echo", "--data", "@latin.json"], "--data @latin.json is not JSON: it is no UTF-8"),
        (["echo", "--data", "@deep.json"], "--data @deep.json is not JSON: it is nested too deep"),
    ],
)
def test_what_cannot_be_called_is_status_2(fnframe, demo, arguments, words):
    (demo.parent / "latin.json").write_bytes('{"name": "Müller"}'.encode("latin-1"))
    (demo.parent / "deep.json").write_text("[" * 100_000)
    result = fnframe("invoke", "demo", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_a_person_gets_the_result_laid_out_and_no_binary_data(on_terminal, demo):
    assert on_terminal("invoke", "demo", "talk") == ["{", '  "ok": true', "}"]
    assert on_terminal("invoke", "demo", "blob") == []
