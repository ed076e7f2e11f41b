"""Obligations of a trigger as a declaration: what is written in the user's app, and read in every process of it."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from subprocess import PIPE

import anyio
import msgspec

from ...trigger import kind_of
from ..obligation import ObligationBroken, require
from .obligation import World, obligation

HEAVY = {"anyio", "asyncio", "pluggy", "trio"}
"""What a template must not pay for. Anything else that is large costs as much: this is what is sure to be wrong."""

BESIDE = "fnframe_plugins"


@obligation()
async def a_manifest_carries_it(world: World) -> None:
    """The process that imports the app tells the host of its triggers as JSON: what does not survive that is not there
    where the trigger runs, and a trigger is all of its state."""
    trigger = world.case.trigger
    again = msgspec.json.decode(msgspec.json.encode(trigger), type=type(trigger))
    require(again, trigger, "the trigger after JSON")
    require(kind_of(again), kind_of(trigger), "its kind")
    require(again.identity(), trigger.identity(), "its identity")


@obligation()
async def it_describes_itself_in_one_line(world: World) -> None:
    """Logs, errors and `fnframe functions` name a trigger by this: a person must find it in the app again."""
    trigger = world.case.trigger
    text = trigger.describe()
    if not isinstance(text, str) or not text or not text.isprintable():
        raise ObligationBroken(f"`describe()`: expected one printable line, found {text!r}")
    if type(trigger).__name__ not in text:
        raise ObligationBroken(f"`describe()`: expected the name {type(trigger).__name__} in it, found {text!r}")


@obligation()
async def its_module_is_light(world: World) -> None:
    """Every template imports the module of a trigger that its app names, and every environment is forked from it: what
    is heavy there costs memory and time in each. Import in `run` what only `run` needs."""
    module = type(world.case.trigger).__module__
    try:
        found = find_spec(module)
    except (ImportError, ValueError):
        found = None
    if found is None or module == BESIDE or "test" in module.rpartition(".")[2]:
        return  # No template will import it; or it is the file beside an app, which has the hook too, and so pluggy.
    probe = f"import sys; sys.path[:] = {sys.path!r}; import {module}; print(*{HEAVY!r} & sys.modules.keys())"
    done = await anyio.run_process([sys.executable, "-c", probe], stderr=PIPE, check=False)
    if done.returncode:
        raise ObligationBroken(f"`import {module}` fails in a fresh process:\n{done.stderr.decode()}")
    require(done.stdout.decode().split(), [], f"heavy modules that `import {module}` loads")
