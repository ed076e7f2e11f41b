"""An app's functions in the process of the test: with its patches, its debugger and its coverage, and no limits."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import anyio.to_thread
from msgspec.structs import replace

from ..context import Context
from ..errors import ConfigurationError
from ..runtime.bundle import Bundle

if TYPE_CHECKING:
    from ..app import App
    from ..environment.readiness import Readiness
    from ..function import StartMethod
    from ..runtime.bundle import Source
    from ..runtime.provided import Provided


async def start_in_process(
    source: Source,
    readiness: Readiness,
    provided: Provided,
    app: App | None = None,
    start_method: StartMethod | None = None,
) -> Bundle:
    """In place of `runtime.bundle.start_bundle`: no template, and every function inline.

    An async handler runs in the event loop, another one in a thread, and both end at their timeout where they can.
    `@app.on_start` functions run once, here. Raises `ConfigurationError` for a function that only a provider can run.
    """
    assert app is not None
    manifest = app.manifest()
    manifest.refuse_empty(app.file.name)
    for function in manifest.functions:
        if function.environment is not None:
            raise ConfigurationError(
                f"function {function.name!r} is {function.environment.text}, which runs in a process of its own: "
                "open the client with environments=True",
                where=function.where,
            )
    inline = copy.copy(app)
    inline.definitions = {
        name: replace(definition, handler=definition.handler and _awaitable(definition.handler))
        for name, definition in app.definitions.items()
    }
    for definition in app.definitions.values():
        if definition.function.name not in app.signatures:  # Its types are there now.
            app.sign(definition)
    for starter in app.starters:
        starter()
    functions = tuple(replace(function, isolation="inline") for function in manifest.functions)
    return Bundle(replace(manifest, functions=functions), inline)


def _awaitable(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler itself if it is async, else one that runs it in a thread."""
    if inspect.iscoroutinefunction(handler):
        return handler

    @wraps(handler)
    async def run(*arguments: Any) -> Any:
        call = partial(handler, *map(_blocking, arguments))
        return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)

    return run


def _blocking(argument: Any) -> Any:
    """A context whose verbs block, for a handler in a thread."""
    if not isinstance(argument, Context):
        return argument
    send = argument._send
    assert send is not None
    return Context(
        request_id=argument.request_id,
        function=argument.function,
        memory=argument.memory,
        deadline=argument.deadline,
        attempt=argument.attempt,
        trace=argument.trace,
        send=lambda *sent: anyio.from_thread.run(send, *sent),
    )
