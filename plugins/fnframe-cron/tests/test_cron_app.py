"""Schedules of a whole app, on a clock that the test turns; the handlers run as they always do."""

from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint
from fnframe_cron import Cron

from fnframe import ConfigurationError, FunctionNotFound, PayloadTooLarge, hookimpl
from fnframe.runtime.run import run_target

pytestmark = pytest.mark.anyio

MINUTE, HOUR = 60, 3600
BEGIN = 1_800_000_000  # 2027-01-15 08:00 UTC
README = Path(__file__).parents[1] / "README.md"

APP = """
import time
from pathlib import Path
import msgspec
from fnframe import App
from fnframe_cron import Cron, Tick

app = App("cron")
HERE = Path(__file__).parent


class Report(msgspec.Struct):
    what: str


@app.function(Cron("0 * * * *", tz="Europe/Berlin", name="hourly"), isolation="inline")
async def sweep(tick: Tick) -> str:
    return f"{tick.schedule} {tick.scheduled.isoformat()}"


@app.function(isolation="inline")
async def report(tick: Tick[Report]) -> str:
    return f"{tick.schedule} {tick.data.what} {tick.scheduled.isoformat()}"
"""

GATED = """

@app.function(Cron("*/10 * * * *", overlap="queue"), timeout=60)
def one_by_one(tick: Tick) -> None:
    wait_for(f"go {tick.scheduled:%H%M} one")


@app.function(Cron("*/20 * * * *", overlap="skip"), timeout=60)
def at_most_one(tick: Tick) -> None:
    wait_for(f"go {tick.scheduled:%H%M}")


def wait_for(name):
    (HERE / name.replace("go", "begun")).touch()
    while not (HERE / name).exists():
        time.sleep(0.002)
"""


class Listener:
    """What ended: function, outcome and instant, in the order in which it did."""

    def __init__(self):
        self.settled = []
        self.values = []

    @hookimpl
    def fnframe_event_settled(self, function, event, outcome):
        self.settled.append((function.name, int(event.time.timestamp()) - BEGIN))
        self.values.append(outcome.unwrap())

    def of(self, function):
        return [instant for name, instant in self.settled if name == function]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


@pytest.fixture
def heard():
    return Listener()


@pytest.fixture
def gates(folder):
    """Two functions that end when a file says so."""
    (folder / "app.py").write_text(APP + GATED)


@pytest.fixture
async def running(folder, clock, heard):
    async with run_target(str(folder / "app.py"), clock=clock, plugins=[heard], settings={"grace": 0.0}) as running:
        yield running


async def pass_until(clock, moment, fact=lambda: True):
    """Let time pass until a moment, each schedule in its turn, and wait for a fact there."""
    with anyio.fail_after(20):
        while clock.time() < moment:
            following = min((at for at in clock.moments() if at > clock.time()), default=moment)
            clock.advance(min(following, moment) - clock.time())
            for _ in range(20):
                await checkpoint()
        while not fact():
            await anyio.sleep(0.002)


async def test_a_day_of_an_app(running, clock, heard):
    assert (("sweep", "hourly in Europe/Berlin, next 2027-01-15 10:00:00+01:00")) in running.started
    await pass_until(clock, BEGIN + 3 * HOUR, lambda: len(heard.of("sweep")) == 3)
    assert heard.of("sweep") == [HOUR, 2 * HOUR, 3 * HOUR]
    assert "hourly 2027-01-15 10:00:00+01:00".replace(" 10", "T10") in heard.values


async def test_overlap_queue_runs_one_after_the_other(gates, running, clock, heard, folder, kit):
    await pass_until(clock, BEGIN + 30 * MINUTE, lambda: (folder / "begun 0810 one").exists())
    (folder / "go 0820 one").touch()
    (folder / "go 0830 one").touch()
    assert heard.of("one_by_one") == []
    assert not (folder / "begun 0820 one").exists()
    (folder / "go 0810 one").touch()
    await kit.until(lambda: len(heard.of("one_by_one")) == 3)
    assert heard.of("one_by_one") == [10 * MINUTE, 20 * MINUTE, 30 * MINUTE]


async def test_overlap_skip_leaves_out_what_comes_meanwhile(gates, running, clock, heard, folder, kit):
    await pass_until(clock, BEGIN + 50 * MINUTE, lambda: (folder / "begun 0820").exists())
    (folder / "go 0820").touch()
    await kit.until(lambda: heard.of("at_most_one") == [20 * MINUTE])
    (folder / "go 0900").touch()
    await pass_until(clock, BEGIN + 60 * MINUTE, lambda: len(heard.of("at_most_one")) == 2)
    assert heard.of("at_most_one") == [20 * MINUTE, 60 * MINUTE]


async def test_a_schedule_is_added_and_removed(running, clock, heard):
    await running.cron.add("sales", "report", "*/30 * * * *", {"what": "sales"})
    await running.cron.add("stock", "report", Cron("30 9 * * *", tz="Europe/Berlin"), {"what": "stock"})
    await pass_until(clock, BEGIN + HOUR, lambda: len(heard.of("report")) == 3)
    assert sorted(value for value in heard.values if value and not value.startswith("hourly")) == [
        "sales sales 2027-01-15T08:30:00+00:00",
        "sales sales 2027-01-15T09:00:00+00:00",
        "stock stock 2027-01-15T09:30:00+01:00",
    ]
    (sales, stock) = await running.cron.all()
    assert (sales.name, sales.function, sales.cron, sales.data) == (
        "sales",
        "report",
        Cron("*/30 * * * *"),
        {"what": "sales"},
    )
    assert sales.added == dt.datetime.fromtimestamp(BEGIN, dt.UTC)
    assert stock.cron.tz == "Europe/Berlin"
    assert await running.cron.remove("sales") is True
    assert await running.cron.remove("sales") is False
    await pass_until(clock, BEGIN + 3 * HOUR, lambda: len(heard.of("sweep")) == 3)
    assert len(heard.of("report")) == 3


async def test_one_that_has_no_time_left_is_removed_by_itself(running, clock, heard, kit):
    await running.cron.add("reminder", "report", "at(2027-01-15T08:15:00)", {"what": "tea"})
    await pass_until(clock, BEGIN + 20 * MINUTE, lambda: heard.of("report") == [15 * MINUTE])
    with anyio.fail_after(10):
        while await running.cron.all():
            await anyio.sleep(0.002)


async def test_to_add_what_is_there_changes_nothing_and_another_must_replace_it(running, clock, heard):
    await running.cron.add("sales", "report", "*/30 * * * *", {"what": "sales"})
    clock.advance(60)
    await running.cron.add("sales", "report", "*/30 * * * *", {"what": "sales"})
    (before,) = await running.cron.all()
    assert before.added.timestamp() == BEGIN
    with pytest.raises(
        ConfigurationError, match="a schedule 'sales' is there already, which is another: remove it first"
    ):
        await running.cron.add("sales", "report", "*/15 * * * *", {"what": "sales"})
    await running.cron.add("sales", "report", "*/15 * * * *", {"what": "more"}, replace=True)
    await pass_until(clock, BEGIN + 30 * MINUTE, lambda: len(heard.of("report")) == 2)
    assert heard.of("report") == [15 * MINUTE, 30 * MINUTE]


async def test_what_cannot_be_added_says_why(running):
    for arguments, error, problem in [
        (("n", "report", "0 25 * * *"), ConfigurationError, "the hour in '0 25 * * *' is '25'"),
        (("n", "report", "at(2027-01-15T07:59:00)"), ConfigurationError, "has no time left: it would never fire"),
        (("n", "reprot", "@daily"), FunctionNotFound, "did you mean 'report'?"),
        (("", "report", "@daily"), ConfigurationError, "the name of a schedule must be a printable text, found ''"),
        (("n", "report", "@daily", "x" * 1_100_000), PayloadTooLarge, "1,100,002 bytes of data"),
    ]:
        with pytest.raises(error) as caught:
            await running.cron.add(*arguments)
        assert problem in str(caught.value)
    assert await running.cron.all() == []


async def test_a_function_that_a_reload_takes_away_is_waited_for(running, clock, heard, folder, kit):
    await running.cron.add("sales", "report", Cron("*/30 * * * *", misfire="all"), {"what": "sales"})
    (folder / "app.py").write_text(APP.replace("async def report", "async def other"))
    await running.reload()
    await pass_until(clock, BEGIN + 65 * MINUTE)
    assert heard.of("report") == []
    (folder / "app.py").write_text(APP)
    await running.reload()
    clock.advance(1)
    await kit.until(lambda: len(heard.of("report")) == 2)
    assert heard.of("report") == [30 * MINUTE, 60 * MINUTE]


async def test_where_no_triggers_are_served_nothing_fires(folder, clock, heard):
    async with run_target(str(folder / "app.py"), clock=clock, plugins=[heard], serve="backlog") as running:
        await running.cron.add("sales", "report", "*/30 * * * *", {"what": "sales"})
        await pass_until(clock, BEGIN + HOUR)
        assert len(await running.cron.all()) == 1
    assert heard.settled == []


async def test_the_readmes_code(tmp_path, clock, heard):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    (tmp_path / "app.py").write_text(blocks[0].replace('Cron("*/5', 'Cron("*/30'))
    async with run_target(str(tmp_path / "app.py"), clock=clock, plugins=[heard]) as running:
        scope = {}
        exec(blocks[1], scope)  # noqa: S102  our own
        await scope["remind"](running, "ada")
        assert [(schedule.name, schedule.data) for schedule in await running.cron.all()] == [
            ("tea ada", {"user": "ada"})
        ]
        await pass_until(clock, BEGIN + HOUR, lambda: len(heard.of("sweep")) == 2)
    assert heard.of("sweep") == [30 * MINUTE, HOUR]


PROGRAM = """
from fnframe import App
from fnframe_cron import Cron, Tick

app = App("program")


@app.function(isolation="inline")
async def remind(tick: Tick[str]) -> None:
    print(tick.schedule, tick.data, flush=True)


if __name__ == "__main__":
    with app.run_in_thread() as running:
        running.cron.add("tea", "remind", "* * * * * *", "drink")
        print([schedule.name for schedule in running.cron.all()])
        running.drained()
        while not running.cron.remove("tea"):
            pass
        try:
            running.corn
        except AttributeError as error:
            print(error)
"""


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
def test_in_a_synchronous_program(tmp_path, anyio_backend):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "['tea']"
    assert lines[-1] == "a running app has no 'corn', and no plugin offers it, did you mean 'cron'?"
