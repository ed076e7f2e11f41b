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


def test_what_somebody_names_a_file_cannot_write_on_the_screen(fnframe, demo):
    (demo / "in" / "\x1b[2Jbad\nok: all is well.txt").write_text("bad")
    result = fnframe("run", "demo", "--until-idle")
    assert "\x1b[2J" not in result.stdout
    assert "ok: all is well" not in [line[:15] for line in result.stdout.splitlines()]
    assert r"\x1b[2Jbad\nok: all is well.txt" in result.stdout


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


def test_a_run_that_finds_nothing_says_where_it_looked(fnframe, demo):
    result = fnframe("run", "demo", "--until-idle")
    assert result.returncode == 0
    assert result.stdout.startswith("nothing to do: no event waits\n  count: files in in\n")


def test_a_run_with_nowhere_to_look_says_so(fnframe, demo):
    app = (demo / "app.py").read_text().replace('Folder("in"), ', "")
    (demo / "app.py").write_text(app)
    result = fnframe("run", "demo", "--until-idle")
    assert result.returncode == 0
    assert result.stdout.startswith("nothing to do: no function has a trigger whose events can wait")
    assert "not served: 1 knock function (door)" in result.stdout


def test_what_a_filter_did_not_let_through_is_told(fnframe, demo):
    app = (demo / "app.py").read_text()
    (demo / "app.py").write_text(app.replace('Folder("in")', 'Folder("in", filter={"data": {"text": ["right"]}})'))
    (demo / "in" / "one.txt").write_text("wrong")
    result = fnframe("run", "demo", "--until-idle")
    assert result.returncode == 0
    assert result.stdout.startswith("nothing to run: 1 event came, and no filter let one through\n")
    (demo / "in" / "three.txt").write_text("wrong")
    (demo / "in" / "two.txt").write_text("right")
    result = fnframe("run", "demo", "--until-idle")
    assert "\n1 event: 1 succeeded; 1 filtered, and not run\n" in result.stdout


def test_a_limit_that_ended_an_invocation_is_named_with_its_parameter(fnframe, demo):
    (demo / "app.py").write_text((demo / "app.py").read_text() + LIMITED)
    (demo / "in" / "one.txt").write_text("1")
    result = fnframe("run", "demo", "--until-idle")
    assert "  out of memory: raise `memory=` of hungry, now 150 (MB)\n" in result.stdout
    assert "  out of time: raise `timeout=` of late, now 0.2 (seconds)\n" in result.stdout


LIMITED = """
@app.function(Folder("in"), memory=150, retries=0)
def hungry(event):
    held = b"x" * 400_000_000
    time.sleep(600)

@app.function(Folder("in"), timeout=0.2, retries=0)
def late(event):
    time.sleep(600)
"""


def test_a_second_run_at_the_same_time_is_refused(start, fnframe, demo):
    (demo / "app.py").write_text((demo / "app.py").read_text() + NAP)
    first = start("run", "demo", "--until-idle")
    first.read_until("asleep")
    second = fnframe("run", "demo", "--until-idle")
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == (
        "error: demo/.fnframe: another `fnframe run --until-idle` is at work there "
        f"(pid {first.process.pid}); wait for its end\n"
    )
    (demo / "wake").touch()
    first.read_until("1 event: 1 succeeded")
    assert first.process.wait(30) == 0
    assert fnframe("run", "demo", "--until-idle").stdout.startswith("nothing new")


def test_without_a_place_to_remember_nothing_is_handled(fnframe, demo):
    (demo / "in" / "one.txt").write_text("1")
    (demo / ".fnframe").touch()
    result = fnframe("run", "demo", "--until-idle")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "error: demo/.fnframe: what is handled cannot be remembered there (File exists); nothing was started\n"
    )


def test_a_memory_that_cannot_be_read_is_told(fnframe, demo):
    (demo / ".fnframe" / "engine.db").mkdir(parents=True)
    result = fnframe("run", "demo", "--until-idle")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "error: demo/.fnframe/engine.db: the engine's file is a folder: name a file\n"


def test_what_cannot_be_remembered_any_more_is_told_after_what_was_done(fnframe, demo):
    (demo / "app.py").write_text((demo / "app.py").read_text() + VANDAL)
    (demo / "in" / "one.txt").write_text("1")
    result = fnframe("run", "demo", "--until-idle")
    assert result.returncode == 1
    assert "vandal  one.txt" in result.stdout  # Cancelled, where something else noticed the loss before it was done.
    assert "error: demo/.fnframe/engine.db: the engine's file was removed or replaced while it was" in result.stderr
    assert "Traceback" not in result.stderr


VANDAL = """
@app.function(Folder("in"))
def vandal(event):
    import pathlib, shutil
    folder = pathlib.Path(__file__).parent / ".fnframe"
    shutil.rmtree(folder)
    folder.touch()
"""


def test_a_failure_that_nobody_keeps_is_status_1(fnframe, demo):
    app = (demo / "app.py").read_text().replace(', on_failure="file:failed.jsonl"', "")
    (demo / "app.py").write_text(app)
    (demo / "in" / "rotten.txt").write_text("bad")
    result = fnframe("run", "demo", "--until-idle")
    assert result.returncode == 1
    assert "a dead letter of count: see `fnframe dlq`" in " ".join(result.stdout.split())


def test_messages_and_records_are_counted_and_not_their_batches(fnframe, write_app):
    target = write_app(QUEUED)
    assert fnframe("send", target, "begin", "--data", "5").returncode == 0
    result = fnframe("run", target, "--until-idle")
    assert result.returncode == 1
    told = " ".join(result.stdout.split())
    assert "11 events: 9 succeeded, 2 failed" in told
    assert "(order, 1 attempt), a dead letter of queue:orders: see `fnframe dlq`" in told
    assert "(click, 1 attempt), kept nowhere" in told


QUEUED = """
from fnframe import App, Batch, Context
from fnframe_queue import Queue
from fnframe_stream import Stream

app = App("shop")


@app.function(Queue("begin", batch_size=1))
def begin(count: int, context: Context):
    for number in range(count):
        context.send("orders", number)
        context.send("stream:clicks", number, key="k")


@app.function(Queue("orders", maximum_attempts=1))
def order(batch: Batch):
    return {"batch_item_failures": [record.id for record in batch if record.data == 3]}


@app.function(Stream("clicks", maximum_attempts=1))
def click(batch: Batch):
    return {"batch_item_failures": [record.name for record in batch if record.data == 4]}
"""


def test_until_idle_can_be_interrupted(start, demo):
    app = (demo / "app.py").read_text()
    (demo / "app.py").write_text(app + NAP)
    run = start("run", "demo", "--until-idle", "--set", "grace=0.05")
    run.read_until("asleep")
    assert run.end(signal.SIGINT) == 130
    assert "Traceback" not in "".join(run.lines)
