"""`fnframe send`: a message or a record from a shell."""

from functools import partial
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from .engine import with_engine
from .errors import UsageError
from .invoke import json_of, payload_of
from .options import Assignments, Flag, Target, settings_of
from .signals import Stop, run_async
from .standard_output import tell

if TYPE_CHECKING:
    from ..engine.protocol import Engine
    from ..sending import Target as Where


def send(
    target: Target,
    queue: Annotated[str, Parameter(help="A queue (orders, queue:orders) or a stream (stream:clicks).")],
    /,
    *,
    data: Annotated[
        str,
        Parameter(help="The data: JSON, @FILE, or - for standard input.", allow_leading_hyphen=True),
    ],
    raw: Annotated[Flag, Parameter(help="The data is no JSON: send it as it is.")] = False,
    key: Annotated[str | None, Parameter(help="Of a record: those of one key stay in order.")] = None,
    id: Annotated[str | None, Parameter(help="It is accepted once; a new one by default.")] = None,  # noqa: A002
    group: Annotated[str | None, Parameter(help="Of a message: those of one group stay in order.")] = None,
    delay: Annotated[float, Parameter(help="Seconds until a message may be received.")] = 0.0,
    set_: Assignments = (),
) -> int:
    """Put a message into a queue, or a record into a stream.

    Its id is printed. The app may run meanwhile, or later. An id that was
    accepted before, and a queue or stream that none of the app's functions
    reads, are told on standard error, and are no failure.
    """
    from ..errors import PayloadTooLarge
    from ..function import Limits
    from ..sending import sendable

    try:
        where = sendable(queue, key=key, group=group, id=id, delay=delay)
    except ValueError as error:
        raise UsageError(str(error)) from None
    payload = payload_of(data) if raw else json_of(data)
    limit = Limits().asynchronous_payload  # The app is not imported, so nobody knows whether it has another one.
    if len(payload) > limit:
        raise PayloadTooLarge(str(where), len(payload), limit)
    status = with_engine(
        target,
        set_,
        partial(_send, where=where, payload=payload, id_=id, key=key, group=group, delay=delay),
        of=where,
    )
    return status or run_async(partial(_tell_unread, target, str(where), settings_of(set_)))


async def _send(
    engine: "Engine",
    *,
    where: "Where",
    payload: bytes,
    id_: str | None,
    key: str | None,
    group: str | None,
    delay: float,
) -> int:
    from ..dispatch.carried import Carried, wrapped
    from ..engine.protocol import Message, Record
    from ..event import new_id
    from .errors import complain

    body, name = wrapped(Carried(payload)), id_ or new_id()
    if where.kind == "stream":
        (is_new,) = await engine.stream(where.name).publish([Record(key or "", body, name)])
    else:
        (is_new,) = await engine.queue(where.name).send([Message(name, body, group, fresh=id_ is None)], delay=delay)
    if not is_new:
        complain(f"{where}: {name} was accepted before")
    tell(name)
    return 0


async def _tell_unread(target: str, where: str, settings: dict[str, object], _: Stop) -> int:
    """Say so where what was sent waits for nobody: its name may be wrong, or the target."""
    from ..errors import FnframeError, nearest
    from ..polled import PolledTrigger
    from ..runtime.run import run_target
    from .errors import complain

    try:
        async with run_target(target, settings=settings, serve="none") as running:
            types = running.plugins.trigger_types.values()
            triggers = [mapping.trigger for type_ in types for mapping in running.mappings(type_)]
            known = {source for each in triggers if isinstance(each, PolledTrigger) and (source := each.reads())}
    except FnframeError as error:
        complain(f"it was sent; whether any function reads {where} is not known: {error}")
    else:
        if where not in known:
            read = f"they read: {', '.join(sorted(known))}" if known else "they read no queue and no stream"
            complain(f"no trigger of the app's functions reads {where}{nearest(where, known)}; {read}")
    return 0
