"""functions-framework --asgi: Starlette in uvicorn, in the server's own process."""

import functions_framework.aio


@functions_framework.aio.http
async def echo(request):
    return await request.json()
