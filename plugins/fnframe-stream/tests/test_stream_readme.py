"""The README's code does what the README says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from facts import until
from fnframe_stream import Stream

from fnframe import ConfigurationError
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.anyio
async def test_the_app(tmp_path, caplog):
    (app,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "app.py").write_text(app)
    clock = ManualClock()
    async with run_target(str(tmp_path / "app.py"), clock=clock, settings={"grace": 0.0}) as running:
        for n in range(5):
            await running.stream("clicks").publish({"page": f"/{n % 2}"}, key=f"visitor-{n}")
        await running.stream("clicks").publish({"page": 7}, key="visitor-0")
        await until(lambda: (tmp_path / "lost.jsonl").exists(), clock)
    assert len((tmp_path / "lost.jsonl").read_text().splitlines()) == 1


def test_the_settings_and_their_defaults():
    fields = {field.name: field.default for field in msgspec.structs.fields(Stream)}
    table = dict(re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", README, re.MULTILINE))
    assert set(table) == set(fields) - {"name"}
    for name, default in table.items():
        assert default in (str(fields[name]), f"{fields[name]:g}" if isinstance(fields[name], float) else "none") or (
            fields[name] is None
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": ""}, "Stream: expected a name such as 'orders', found ''"),
        ({"name": "fnframe:reports"}, "are fnframe's own"),
        ({"start": "soon"}, "Stream: start must be 'earliest', 'latest', seconds since the epoch or a text such as"),
        ({"start": True}, "found True"),
        ({"start": float("nan")}, "found nan"),
        ({"start": float("inf")}, "found inf"),
        ({"lanes": 11}, "Stream: lanes must lie between 1 and 10 lanes, found 11"),
        ({"bisect": 1}, "Stream: bisect must be True or False, found 1"),
        ({"partial_failures": "no"}, "Stream: partial_failures must be True or False, found 'no'"),
        ({"maximum_attempts": 0}, "maximum_attempts must lie between 1 and 10,001 attempts, found 0"),
        ({"maximum_age": 0}, "maximum_age must lie between 1 and 604,800 seconds, found 0"),
        ({"tumbling_window": 901}, "tumbling_window must lie between 0 and 900 seconds, found 901"),
        ({"tumbling_window": 60, "lanes": 2}, "a tumbling_window has one state for each partition, not 2"),
        ({"on_failure": "lost.jsonl"}, "Stream: on_failure must be 'function:NAME'"),
    ],
)
def test_what_cannot_be_set(options, words):
    with pytest.raises(ConfigurationError) as caught:
        Stream(**{"name": "orders", **options})
    assert words in str(caught.value)
