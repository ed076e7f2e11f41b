"""The README's code does what the README says."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from facts import drained
from fnframe_queue import Queue

from fnframe import ConfigurationError
from fnframe.runtime.run import run_target
from fnframe.testing.clock import ManualClock

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.mark.anyio
async def test_the_app(tmp_path):
    app, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "app.py").write_text(app)
    clock = ManualClock()
    async with run_target(str(tmp_path / "app.py"), clock=clock) as running:
        for name, copies in (("cat", 1), ("dog", 101), ("cow", 2)):
            await running.queue("orders").send({"name": name, "copies": copies}, id=name)
        await drained(running, clock)
        (letter,) = await running.engine.queue("orders").dead_letters()
        assert letter.message.id == "dog"
        assert (await running.engine.queue("shipments").statistics()).dead == 0


def test_the_settings_and_their_defaults():
    fields = {field.name: field.default for field in msgspec.structs.fields(Queue)}
    table = dict(re.findall(r"^\| `([a-z_]+)` \| (.+?) \|", README, re.MULTILINE))
    assert set(table) == set(fields) - {"name"}
    for name, default in table.items():
        assert default in (str(fields[name]), f"{fields[name]:g}" if isinstance(fields[name], float) else "none") or (
            fields[name] is None
        )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": ""}, "Queue: expected a name such as 'orders', found ''"),
        ({"name": "fnframe:reports"}, "are fnframe's own"),
        ({"batch_size": 0}, "Queue: batch_size must lie between 1 and 10,000 records, found 0"),
        ({"batch_size": 1.5}, "Queue: batch_size must be a whole number of records, found 1.5"),
        ({"batch_size": True}, "batch_size must be a whole number of records, found True"),
        ({"window": 301}, "Queue: window must lie between 0 and 300 seconds, found 301"),
        ({"window": "1"}, "Queue: window must be a number of seconds, found '1'"),
        ({"maximum_concurrency": 0}, "maximum_concurrency must lie between 1 and 1,000 batches, found 0"),
        ({"maximum_attempts": None}, "maximum_attempts must be a whole number of attempts, found None"),
        ({"maximum_age": 0.5}, "maximum_age must lie between 1 and 1,209,600 seconds, found 0.5"),
        ({"poison": 0}, "poison must lie between 1 and 1,000 ends of an environment, found 0"),
    ],
)
def test_what_cannot_be_set(options, words):
    with pytest.raises(ConfigurationError) as caught:
        Queue(**{"name": "orders", **options})
    assert words in str(caught.value)
