"""A treasure hunt: moves by HTTP, scores through a stream, matches through a queue, and a page that shows all of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from board import SIZE, treasure
from fnframe_http import Http, Request, Response
from fnframe_queue import Queue
from fnframe_stream import Stream
from store import opened

from fnframe import App, Batch, Context

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=20, pattern=r"^[\w-]+$")]
Place = Annotated[int, msgspec.Meta(ge=0, lt=SIZE)]

app = App("game")
PAGE = (Path(__file__).parent / "page.html").read_text("utf-8")


class Move(msgspec.Struct):
    player: Name
    x: Place
    y: Place


class Score(msgspec.Struct):
    player: Name
    x: int
    y: int
    points: int


class Wish(msgspec.Struct):
    player: Name


@app.on_start
def open_store() -> None:
    """A connection is no thing to be shared by processes: each environment opens its own."""
    global store
    store = opened()


@app.function(Http("POST /moves"), timeout=2)
def move(move: Move, context: Context) -> Score:
    """Dig. The player has the answer at once; that it counts is the stream's to remember, in the order of the moves."""
    score = Score(move.player, move.x, move.y, treasure(move.x, move.y))
    context.send("stream:scores", score, key=move.player)
    return score


@app.function(Stream("scores", batch_size=500, window=0.1), timeout=10)
def tally(batch: Batch[Score]) -> None:
    """Add up what came, once each, however often the stream brings it."""
    store.add(batch.partition, [(record.position, record.data.player, record.data.points) for record in batch])


@app.function(Http("GET /leaderboard"))
def leaderboard() -> list[dict[str, object]]:
    return store.best(10)


@app.function(Http("POST /matches"))
def wish(wish: Wish, context: Context) -> Response:
    """Look for an opponent. Who that is is known a moment later: GET /matches/NAME."""
    context.send("matches", wish)
    return Response({"waiting": wish.player}, status=202)


@app.function(Queue("matches", batch_size=50, window=0.5, maximum_attempts=30, maximum_concurrency=1), timeout=10)
def match(batch: Batch[Wish]) -> None:
    """Pair players, two by two. The one who is left over comes again with those who come then."""
    waiting = {record.data.player: record for record in batch}
    records = list(waiting.values())
    if len(records) % 2:
        batch.fail(records.pop())
    store.pair([(one.data.player, other.data.player) for one, other in zip(records[::2], records[1::2], strict=True)])


@app.function(Http("GET /matches/{player}"))
def opponent(request: Request) -> dict[str, str | None]:
    """The opponent, or null while none is found: who waits asks again."""
    player = request.path_params["player"]
    return {"player": player, "opponent": store.opponent(player)}


@app.function(Http("GET /"))
def page() -> Response:
    return Response(PAGE.replace("SIZE", str(SIZE)), content_type="text/html; charset=utf-8")
