"""Every IANA zone, every time that its clocks are set from 2020 to 2035: what the cron trigger fires then, against a
clock on the wall that is looked at minute by minute (`tests/cron_oracle.py`, which knows no croniter).

Around each change, for three days: daily, hourly and half-hourly schedules, fixed times of the night, and chosen
minutes of chosen hours. Of a zone whose clocks are never set, half a month of 2020.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from zoneinfo import available_timezones

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from cron_oracle import DAY, Job, Wall, job, transitions
from fnframe_cron.moments import moments

FROM, UNTIL = 1_577_836_800, 2_082_758_400
JOBS = [
    job([0]),
    job([30]),
    job([0, 30]),
    job(range(0, 60, 5)),
    job([0], [0]),
    job([30], [0]),
    job([30], [1]),
    job([0], [2]),
    job([30], [2]),
    job([15, 45], [2]),
    job([0], [3]),
    job([59], [23]),
    job([30], [12]),
    job([0, 20, 40], [0, 1, 2, 3, 23]),
    job([7], range(0, 24, 3)),
    job([0], 2),
    job([30], 3),
    job([15], 6),
]


def check(zone: str) -> tuple[int, list[str]]:
    """How many changes of its clocks were looked at, and what was wrong."""
    changes = list(transitions(zone, FROM, UNTIL))
    problems = []
    for change in changes or [FROM + 15 * DAY]:
        begin = change // DAY * DAY - DAY
        end = begin + 3 * DAY if changes else begin + 15 * DAY
        wall = Wall(zone, begin - 2 * DAY, end + 2 * DAY)
        problems += [
            f"{zone}, {each.expression}: {text}" for each in JOBS if (text := differs(wall, zone, each, begin, end))
        ]
    return len(changes), problems


def differs(wall: Wall, zone: str, schedule: Job, begin: int, end: int) -> str:
    expected = wall.firings(schedule, begin, end)
    found, after = [], begin - 1
    while (after := moments(schedule.expression, zone).next(after) or end) < end:
        found.append(after)
    return "" if found == expected else f"fires {set(found) - set(expected)} too much, {set(expected) - set(found)} not"


def main(part: int, parts: int) -> int:
    began = time.perf_counter()
    zones = sorted(available_timezones())[part - 1 :: parts]
    changes, problems = 0, []
    for zone in zones:
        looked_at, wrong = check(zone)
        changes += looked_at
        problems += wrong
    seconds = time.perf_counter() - began
    print(
        f"{len(zones)} zones, {changes:,} changes of their clocks, {len(JOBS)} schedules, {seconds:.0f} s: "
        f"{len(problems) or 'no'} differences"
    )
    for problem in problems[:20]:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak.zones", description=__doc__)
    parser.add_argument("--part", default="1/1", help="a part of the zones alone: 1/4 to 4/4, say")
    sys.exit(main(*map(int, parser.parse_args().part.split("/"))))
