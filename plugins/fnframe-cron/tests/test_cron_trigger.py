"""The trigger as users write it, and its ticks as handlers get them."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys

import msgspec
import pytest
from fnframe_cron import Cron, Tick

from fnframe import ConfigurationError, Event
from fnframe.schema import decoder_for


class Report(msgspec.Struct):
    what: str


def test_it_reads_as_it_was_written():
    assert Cron("*/5 * * * *", tz="Europe/Berlin").describe() == "Cron('*/5 * * * *', tz='Europe/Berlin')"
    assert Cron("@daily").describe() == "Cron('@daily')"


def test_it_survives_a_manifest():
    cron = Cron("30 2 * * *", tz="Europe/Berlin", misfire="all", grace=5, overlap="queue", window=60, name="nightly")
    assert msgspec.json.decode(msgspec.json.encode(cron), type=Cron) == cron


def test_what_makes_it_the_same_schedule():
    cron = Cron("0 9 * * *")
    assert Cron(" 0  9 * * *", misfire="skip", grace=0, overlap="skip", window=5).identity() == cron.identity()
    others = [Cron("1 9 * * *"), Cron("0 9 * * *", tz="Europe/Berlin"), Cron("0 9 * * *", name="other")]
    assert len({cron.identity(), *(other.identity() for other in others)}) == 4


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"expression": "0 25 * * *"}, "Cron: the hour in '0 25 * * *' is '25'"),
        ({"expression": 5}, "Cron: expected an expression such as '*/5 * * * *', found 5"),
        ({"tz": "europe/berlin"}, "found 'europe/berlin', did you mean 'Europe/Berlin'?"),
        (
            {"tz": "../../etc/passwd"},
            "Cron: tz must be an IANA time zone such as 'Europe/Berlin', found '../../etc/passwd'",
        ),
        ({"tz": None}, "found None"),
        ({"tz": ["UTC"]}, "found ['UTC']"),
        ({"misfire": "twice"}, "Cron: misfire must be 'once', 'all' or 'skip', found 'twice'"),
        ({"misfire": "skp"}, "found 'skp', did you mean 'skip'?"),
        ({"overlap": "forbid"}, "Cron: overlap must be 'allow', 'queue' or 'skip', found 'forbid'"),
        ({"grace": -1}, "Cron: grace must be seconds from 0 to 31,622,400 (a year), found -1"),
        ({"grace": "1h"}, "found '1h'"),
        ({"window": True}, "Cron: window must be seconds"),
        ({"window": float("nan")}, "found nan"),
        ({"name": ""}, "Cron: name must be a printable text, found ''"),
        ({"name": "a\nb"}, "found 'a\\nb'"),
    ],
)
def test_what_makes_no_sense_is_refused(options, problem):
    with pytest.raises(ConfigurationError) as caught:
        Cron(**{"expression": "* * * * *", **options})
    assert problem in str(caught.value)


def test_the_template_pays_for_no_croniter_and_no_event_loop():
    probe = (
        "from fnframe_cron import Cron, Tick\n"
        "Cron('*/5 * * * *', tz='Europe/Berlin')\n"
        "import sys\n"
        "print({'croniter', 'dateutil', 'anyio', 'asyncio', 'pluggy', 'cyclopts'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


def tick_event(**fields) -> Event:
    data = {"schedule": "n", "scheduled": "2027-01-15T09:00:00+01:00", "fired": "2027-01-15T08:00:01Z", **fields}
    return Event(
        id="1",
        source="fnframe:cron",
        type="fnframe.cron.tick",
        time=dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC),
        data=msgspec.json.encode(data),
    )


def test_a_tick():
    tick = decoder_for(Tick)(tick_event(previous="2027-01-14T09:00:00+01:00", tz="Europe/Berlin"))
    assert tick.scheduled == dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC)
    assert tick.scheduled.hour == 9
    assert tick.fired - tick.scheduled == dt.timedelta(seconds=1)
    assert tick.previous == tick.scheduled - dt.timedelta(days=1)
    assert (tick.schedule, tick.tz, tick.data) == ("n", "Europe/Berlin", None)


def test_a_tick_with_data():
    event = tick_event(data={"what": "sales"})
    assert decoder_for(Tick)(event).data == {"what": "sales"}
    assert decoder_for(Tick[Report])(event).data == Report("sales")
    with pytest.raises(Exception, match=r"Expected `str`, got `int` - at `\$.data.what`"):
        decoder_for(Tick[Report])(tick_event(data={"what": 5}))


def test_an_event_that_no_schedule_made_is_a_tick_of_its_time():
    time = dt.datetime(2027, 1, 15, 8, tzinfo=dt.UTC)
    event = Event(id="1", source="direct", type="fnframe.direct", time=time, data=b'{"what":"sales"}')
    tick = decoder_for(Tick[Report])(event)
    assert (tick.schedule, tick.scheduled, tick.fired, tick.previous) == ("direct", time, time, None)
    assert tick.data == Report("sales")


def test_a_tick_for_the_test_of_a_handler():
    tick = Tick(data=Report("sales"))
    assert tick.scheduled <= tick.fired <= dt.datetime.now(dt.UTC)
