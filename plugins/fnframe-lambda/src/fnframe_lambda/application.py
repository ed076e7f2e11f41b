"""Mounting the Invoke API in any ASGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fnframe.event import new_id

from .service import SERVICE
from .wire import ApiError, send_answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from fnframe import App


def asgi(app: App) -> ASGIApp:
    """An ASGI application that serves the functions of `app` to Lambda's clients, while `app.run()` lasts elsewhere.

    Before and after it, every request is answered with 503 and a text that says so.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if app.running is not None:
            await app.running.service(SERVICE).asgi(scope, receive, send)
        elif scope["type"] == "http":
            problem = f"the app {app.name!r} is not running: enter app.run() in your server's lifespan"
            await send_answer(send, ApiError(503, "ServiceException", problem).answer(), new_id())

    return application
