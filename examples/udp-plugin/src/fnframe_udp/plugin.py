"""What fnframe's plugin manager finds. A module of its own: whoever names the trigger needs no plugin manager."""

from fnframe import Trigger, hookimpl

from . import Udp


@hookimpl
def fnframe_register_triggers() -> list[type[Trigger]]:
    return [Udp]
