"""What `fnframe run` serves, without its log lines: `python -m bench.apps.serve PORT`."""

from __future__ import annotations

import sys

import anyio

from .web import app


async def serve(port: int) -> None:
    async with app.run(**{"http.port": port}):
        await anyio.sleep_forever()


if __name__ == "__main__":
    anyio.run(serve, int(sys.argv[1]), backend_options={"use_uvloop": True})
