"""Obligations of what a user writes: the trigger as a value."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from ...trigger import Trigger, kind_of
from ..engines.obligation import ObligationBroken, require
from .obligation import obligation
from .world import World

HEAVY = {"anyio", "asyncio", "pluggy", "trio"}


@obligation()
async def it_survives_the_manifest(world: World) -> None:
    """The host that runs a trigger does not import the app: it gets the trigger's fields as JSON from the template."""
    trigger = world.trigger
    again = msgspec.json.decode(msgspec.json.encode(trigger), type=type(trigger))
    require(again, trigger, "the trigger from its manifest")
    require(kind_of(trigger), type(trigger).__name__.lower(), "its kind")


@obligation()
async def it_cannot_be_changed(world: World) -> None:
    """What was checked where the user wrote it must be what runs."""
    require(type(world.trigger).__struct_config__.frozen, True, "whether its class is frozen")
    require(isinstance(world.trigger, Trigger), True, "whether it is a Trigger")


@obligation("asynchronous", "polled")
async def a_filter_makes_it_no_other(world: World) -> None:
    """Its identity names what it remembers: with a new filter it must not tell of all again."""
    filtered = msgspec.structs.replace(world.trigger, filter={"id": ["a"]})
    require(filtered.identity(), world.trigger.identity(), "the identity with a filter")


@obligation()
async def it_describes_itself_in_a_line(world: World) -> None:
    """For errors, logs and `fnframe functions`."""
    text = world.trigger.describe()
    if not text or not text.isprintable():
        raise ObligationBroken(f"describe() must be one printable line, found {text!r}")


@obligation()
async def its_module_brings_no_event_loop(world: World) -> None:
    """Each environment pays for what the module of a trigger imports, in time and in memory: heavy libraries are
    imported in `run`."""
    module = type(world.trigger).__module__
    program = f"import sys; sys.path[:] = {sys.path!r}; import {module}; print(*{HEAVY!r} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)  # noqa: ASYNC221
    require(done.stderr, "", f"what importing {module} in a fresh interpreter says")
    require(done.stdout.split(), [], f"what importing {module} brings along")
