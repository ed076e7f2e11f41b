"""The limit through uvicorn: an ASGI application that hands the body to two bare workers, and no more."""

from __future__ import annotations

from typing import Any

import msgspec

from ..bare import Dispatcher, Worker
from ..workload import echo

workers = [Worker(echo), Worker(echo)]
decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
dispatcher: Dispatcher | None = None


async def application(scope: Any, receive: Any, send: Any) -> None:
    global dispatcher
    dispatcher = dispatcher or Dispatcher(workers)
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    answer = encode(await dispatcher.invoke(decode(body)))
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
