"""`fnframe run`: the production form with its signals, and `--until-idle`."""

from __future__ import annotations

import json
import os
import signal

import pytest


def records(lines):
    return [json.loads(line) for line in lines if line.startswith("{")]


def knock(demo, text):
    pipe = os.open(demo / "pipe", os.O_WRONLY)
    os.write(pipe, text)
    os.close(pipe)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_with_json_logs_and_ends_in_order(start, demo, number):
    run = start("run", "demo")
    run.read_until("door: lines written to pipe")
    knock(demo, b'"hello"')
    report = json.loads(run.read_until("platform.report"))
    assert report["record"]["functionName"] == "door"
    assert report["record"]["status"] == "success"
    assert run.end(number) == 0
    assert not (demo / "pipe").exists()
    assert [record["type"] for record in records(run.lines)] == [
        "platform.start",
        "platform.runtimeDone",
        "platform.report",
    ]


def test_what_runs_may_finish(start, demo):
    app = (demo / "app.py").read_text()
    (demo / "app.py").write_text(app + NAP)
    run = start("run", "demo", "--log-format", "text")
    run.read_until("asleep", "nap: ")
    (demo / "wake").touch()
    assert run.end() == 0
    assert any(line.startswith("REPORT") for line in run.lines)


def test_a_second_signal_ends_at_once(start, demo):
    app = (demo / "app.py").read_text()
    (demo / "app.py").write_text(app + NAP)
    run = start("run", "demo", "--log-format", "text", "--set", "grace=600")
    run.read_until("asleep", "nap: ")
    run.process.send_signal(signal.SIGTERM)
    run.read_until("ending")
    assert run.end() == 128 + signal.SIGTERM


NAP = """
@app.function(Folder("."), timeout=600)
def nap(event):
    import pathlib
    print("asleep", flush=True)
    while not (pathlib.Path(__file__).parent / "wake").exists():
        time.sleep(0.01)

pathlib = __import__("pathlib")
(pathlib.Path(__file__).parent / "x.txt").touch()
"""


def test_the_form_of_the_log_may_be_set_in_the_file_or_on_the_command(start, demo):
    (demo / "fnframe.toml").write_text("log_format = 'text'\n[knock]\npipe = 'other'\n")
    run = start("run", "demo", "--set", "knock.pipe=pipe")
    run.read_until("door: lines written to pipe")
    knock(demo, b"1")
    assert run.read_until("REPORT").startswith("REPORT RequestId: ")
    assert run.end() == 0


def test_an_app_whose_start_takes_long_can_be_interrupted(start, demo):
    (demo / "app.py").write_text("print('importing', flush=True)\nimport time\ntime.sleep(600)\n")
    run = start("run", "demo")
    run.read_until("importing")
    assert run.end(signal.SIGINT) == 130
    assert "Traceback" not in "".join(run.lines)


def test_until_idle_tells_what_happened_and_what_it_used(fnframe, demo):
    (demo / "in" / "good.txt").write_text("12345")
    (demo / "in" / "rotten.txt").write_text("bad")
    result = fnframe("run", "demo", "--until-idle")
    assert result.returncode == 0
    text = result.stdout
    assert "  count | counting good.txt\n" in text
    assert "\n2 events: 1 succeeded, 1 failed\n" in text
    assert "  rotten.txt (count, 2 attempts), kept in file:failed.jsonl\n" in text
    assert "    ValueError: this text is bad\n" in text
    usage = text[text.index("function  ") :].splitlines()[1].split()
    assert usage[:3] == ["count", "3", "2"]
    assert "not served: 1 knock function (door)" in text
    assert max(map(len, text.splitlines())) <= 80
    assert len((demo / "failed.jsonl").read_text().splitlines()) == 1


def test_a_second_run_has_nothing_new_until_something_is(fnframe, demo):
    (demo / "in" / "one.txt").write_text("1")
    assert "1 event: 1 succeeded" in fnframe("run", "demo", "--until-idle").stdout
    second = fnframe("run", "demo", "--until-idle")
    assert second.returncode == 0
    assert second.stdout.startswith("nothing new")
    (demo / "in" / "two.txt").write_text("2")
    third = fnframe("run", "demo", "--until-idle").stdout
    assert "1 event: 1 succeeded" in third
    assert "two.txt" in third


def test_a_failure_that_nobody_keeps_is_status_1(fnframe, demo):
    app = (demo / "app.py").read_text().replace(', on_failure="file:failed.jsonl"', "")
    (demo / "app.py").write_text(app)
    (demo / "in" / "rotten.txt").write_text("bad")
    result = fnframe("run", "demo", "--until-idle")
    assert result.returncode == 1
    assert "lost: it has no on_failure destination" in " ".join(result.stdout.split())


def test_until_idle_can_be_interrupted(start, demo):
    app = (demo / "app.py").read_text()
    (demo / "app.py").write_text(app + NAP)
    run = start("run", "demo", "--until-idle", "--set", "grace=0.05")
    run.read_until("asleep")
    assert run.end(signal.SIGINT) == 130
    assert "Traceback" not in "".join(run.lines)
