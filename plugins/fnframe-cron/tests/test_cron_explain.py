"""`fnframe cron explain`, as a person sees it."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys

import pytest
from fnframe_cron import Cron
from fnframe_cron.explain import explained


def explain(expression, tz="UTC", after=None, count=10):
    return list(explained(Cron(expression, tz=tz), after and dt.datetime.fromisoformat(after), count))


def command(*arguments):
    environ = {**os.environ, "COLUMNS": "80"}
    run = [sys.executable, "-m", "fnframe.cli", *arguments]
    return subprocess.run(run, capture_output=True, text=True, check=False, timeout=30, env=environ)


def test_a_night_job():
    arguments = ["30 2 * * *", "--tz", "Europe/Berlin", "--after", "2026-03-28", "--count", "3"]
    shown = command("cron", "explain", *arguments)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.splitlines() == [
        "30 2 * * * in Europe/Berlin",
        "The hours are chosen: each time comes once a day, also where clocks are set.",
        "",
        "  Sat 2026-03-28 02:30 +01:00  2026-03-28 01:30 UTC",
        "  Sun 2026-03-29 03:00 +02:00  2026-03-29 01:00 UTC  gap: no 02:30",
        "  Mon 2026-03-30 02:30 +02:00  2026-03-30 00:30 UTC",
        "",
        "Sun 2026-03-29 02:00 +01:00 becomes 03:00 +02:00:",
        "  Sat 2026-03-28 02:30 +01:00  2026-03-28 01:30 UTC",
        "  Sun 2026-03-29 03:00 +02:00  2026-03-29 01:00 UTC  gap: no 02:30",
        "  Mon 2026-03-30 02:30 +02:00  2026-03-30 00:30 UTC",
        "",
        "Sun 2026-10-25 03:00 +02:00 becomes 02:00 +01:00:",
        "  Sat 2026-10-24 02:30 +02:00  2026-10-24 00:30 UTC",
        "  Sun 2026-10-25 02:30 +02:00  2026-10-25 00:30 UTC  fold: first 02:30",
        "  Mon 2026-10-26 02:30 +01:00  2026-10-26 01:30 UTC",
    ]


def test_every_hour():
    lines = explain("0 * * * *", "Europe/Berlin", "2026-10-25T01:30", 4)
    assert lines[1] == "Every hour is meant: a time comes whenever the clocks show it."
    assert lines[3:7] == [
        "  Sun 2026-10-25 02:00 +02:00  2026-10-25 00:00 UTC  fold: first 02:00",
        "  Sun 2026-10-25 02:00 +01:00  2026-10-25 01:00 UTC  fold: second 02:00",
        "  Sun 2026-10-25 03:00 +01:00  2026-10-25 02:00 UTC",
        "  Sun 2026-10-25 04:00 +01:00  2026-10-25 03:00 UTC",
    ]


def test_a_dense_schedule_shows_what_is_next_to_the_change():
    lines = explain("*/10 * * * * *", "Australia/Lord_Howe", "2026-04-04T12:00", 1)
    assert lines[5] == "Sun 2026-04-05 02:00 +11:00 becomes 01:30 +10:30:"
    assert lines[9:11] == [
        "  Sun 2026-04-05 01:59:50 +11:00  2026-04-04 14:59:50 UTC  fold: first 01:59:50",
        "  Sun 2026-04-05 01:30 +10:30  2026-04-04 15:00 UTC  fold: second 01:30",
    ]
    assert len(lines) == 6 + 8 + 2 + 8


def test_in_utc_there_is_nothing_odd():
    lines = explain("cron(15 10 ? * 6L *)", after="2026-01-01", count=2)
    assert lines == [
        "cron(15 10 ? * 6L *) in UTC",
        "The hours are chosen: each time comes once a day, also where clocks are set.",
        "",
        "  Fri 2026-01-30 10:15 +00:00  2026-01-30 10:15 UTC",
        "  Fri 2026-02-27 10:15 +00:00  2026-02-27 10:15 UTC",
    ]


def test_a_rate():
    lines = explain("rate(1 day)", count=1)
    assert lines[1] == "A period, counted from 1970-01-01 00:00 UTC: clocks that are set do not matter."


def test_one_time_in_a_gap():
    lines = explain("at(2026-03-29T02:30:00)", "Europe/Berlin", "2026-03-01")
    assert lines[3] == "  Sun 2026-03-29 03:00 +02:00  2026-03-29 01:00 UTC  gap: no 02:30"
    assert lines[-1] == "  nothing fires within three days"


def test_what_is_over():
    lines = explain("at(2020-01-01T00:00:00)", after="2026-01-01")
    assert lines[3:] == ["No time is left after Wed 2025-12-31 23:59:59 +00:00."]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["0 25 * * *"], "error: Cron: the hour in '0 25 * * *' is '25': '25' is not 0 to 23\n"),
        (["0 2 * * *", "--tz", "Europe/Berln"], "did you mean 'Europe/Berlin'?"),
        (["0 2 * * *", "--count", "0"], "--count"),
    ],
)
def test_wrong_usage_is_one_message(arguments, words):
    done = command("cron", "explain", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_is_listed_and_explains_itself():
    assert "\n  cron       Tell when a schedule fires, and where clocks are set.\n" in command("--help").stdout
    shown = command("cron", "explain", "--help")
    assert shown.returncode == 0
    assert "fnframe cron explain [OPTIONS] EXPRESSION" in shown.stdout
