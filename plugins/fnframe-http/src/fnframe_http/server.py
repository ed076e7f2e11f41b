"""The stand-alone server: uvicorn, in the event loop of the running app."""

from __future__ import annotations

import asyncio
import errno
import math
import os
import socket
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from fnframe import ConfigurationError

from .router import Router
from .service import answer

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn import Server

    from fnframe import Mapping

    from .trigger import HttpSettings

BACKLOG = 2048


class Address(NamedTuple):
    """Where to listen, and the table of settings that says so."""

    host: str
    port: int
    table: str = "http"

    def elsewhere(self, key: str) -> str:
        """How to choose another."""
        variable = f"FNFRAME_{self.table}_{key}".upper()
        return (
            f"choose another with --{key}, with the variable {variable} or with `{key}` under [{self.table}] in "
            f"fnframe.toml; in a program, with app.run(**{{'{self.table}.{key}': ...}})"
        )


async def serve(mappings: Sequence[Mapping], *, task_status: TaskStatus[Any]) -> None:
    """Serve these mappings until cancelled; then take no more connections and let requests in progress finish."""
    router = Router(mappings)
    settings: HttpSettings = mappings[0].settings
    address = Address(settings.host, settings.port)

    def tell(base: str) -> None:
        task_status.started(_texts(mappings, base))

    await serve_application(application(router), address, mappings[0].grace, tell)


async def serve_application(application: ASGIApp, address: Address, grace: float, tell: Callable[[str], None]) -> None:
    """Serve an ASGI application until cancelled; `tell` gets its URL when it is ready.

    What is in progress has `grace` seconds to finish then. Raises `ConfigurationError` that names the setting.
    """
    server = _server(application, grace)
    listener = _listener(address)
    try:
        await server.startup(sockets=[listener])
    except BaseException:
        listener.close()
        raise
    try:
        tell(_base(listener))
        await server.main_loop()
    finally:
        # Its first step, before anything waits, closes the listener: a reload binds the port again at once.
        with anyio.CancelScope(shield=True):
            await server.shutdown(sockets=[listener])


def application(router: Router) -> ASGIApp:
    """The ASGI application of a fixed set of routes."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(scope, receive, send, lambda: router)

    return application


def _server(application: ASGIApp, grace: float) -> Server:
    """A uvicorn server that leaves signals and logging to whom they belong to."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise ConfigurationError(
            "the HTTP server needs asyncio, and this app runs on trio: mount fnframe_http.asgi(app) in an ASGI server "
            "that runs on trio (hypercorn), or run the app on asyncio"
        ) from None
    try:
        import uvicorn
    except ImportError:
        problem = "the HTTP server needs uvicorn: install fnframe-http[server], or mount fnframe_http.asgi(app)"
        raise ConfigurationError(problem) from None

    config = uvicorn.Config(
        application,
        http="httptools" if find_spec("httptools") else "h11",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=math.ceil(grace),
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    return server


def _listener(address: Address) -> socket.socket:
    """A socket that listens there. Raises `ConfigurationError` that names the setting."""
    host, port, _ = address
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        family, type_, protocol, _, place = found[0]
        return _listening(family, type_, protocol, place)
    except OSError as error:
        raise ConfigurationError(_problem(error, address)) from None


def _listening(family: int, type_: int, protocol: int, address: Any) -> socket.socket:
    # Not `socket.create_server`, which leaves the protocol open: asyncio then leaves Nagle's algorithm on, and each
    # answer to a kept connection waits 40 ms for its client's delayed acknowledgement.
    listener = socket.socket(family, type_, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.setblocking(False)
        listener.bind(address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _problem(error: OSError, address: Address) -> str:
    host, port, table = address
    if error.errno == errno.EADDRINUSE:
        return f"{table}.port: port {port} of {host} is in use by another program; {address.elsewhere('port')}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{table}.port: port {port} may not be used without more rights; {address.elsewhere('port')}"
    reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return f"{table}.host: this machine cannot listen at {host!r}: {reason}; {address.elsewhere('host')}"


def _base(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family == socket.AF_INET6 else f"http://{host}:{port}"


def _texts(mappings: Sequence[Mapping], base: str) -> list[str]:
    return [f"{route.method} {base}{route.path}" for route in (mapping.trigger.parsed() for mapping in mappings)]
