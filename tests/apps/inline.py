from __future__ import annotations

from typing import Any

import anyio
import msgspec

from fnframe import App, Context, Limits

app = App("inline", limits=Limits(response_payload=1000))
seen: list[Any] = []


class Order(msgspec.Struct):
    id: int


@app.function(isolation="inline")
async def echo(event):
    return event


@app.function(isolation="inline")
async def nothing():
    await anyio.sleep(0)


@app.function(isolation="inline")
async def typed(order: Order) -> Order:
    return Order(order.id + 1)


@app.function(isolation="inline")
async def raises(event):
    await anyio.sleep(0)
    raise ValueError(event)


@app.function(isolation="inline")
async def raises_timeout():
    raise TimeoutError("the handler's own")


@app.function(isolation="inline", timeout=0.05)
async def waits():
    try:
        await anyio.sleep_forever()
    finally:
        seen.append("cleaned up")


@app.function(isolation="inline", timeout=0.05)
async def waits_in_scopes():
    """Cancel scopes of the handler's own, entered before it first waits."""
    with anyio.move_on_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)
            await anyio.sleep_forever()


@app.function(isolation="inline", timeout=5)
async def gives_up_early():
    with anyio.move_on_after(0.01):
        await anyio.sleep_forever()
    return "early"


@app.function(isolation="inline", timeout=30)
async def waits_long():
    await anyio.sleep_forever()


@app.function(isolation="inline")
async def much(size):
    return "x" * size


@app.function(isolation="inline")
async def no_json():
    return object()


@app.function(isolation="inline")
async def about(event, context: Context):
    return [context.function, context.memory, context.attempt, context.remaining() > 2]


@app.function(isolation="inline")
async def sends(event, context: Context):
    return await context.enqueue("heard", event)


@app.function(isolation="inline")
async def leaves_its_context(event, context: Context):
    seen.append(context)


@app.function(isolation="inline")
async def sends_much(event, context: Context):
    return await context.enqueue("heard", "x" * event)


@app.function(isolation="inline")
async def heard(event):
    seen.append(event)
