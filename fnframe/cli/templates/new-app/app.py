"""An app: what it does, and what calls it."""

import msgspec
from fnframe import App, Context
from fnframe_cron import Cron, Tick
from fnframe_http import Http, Request

app = App("sample")


class Greeting(msgspec.Struct):
    name: str
    words: str = "hello"


@app.function(Http("POST /greetings"), memory=128, timeout=5)
def greet(greeting: Greeting, context: Context) -> dict[str, str]:
    """Answers at once, and has the rest done by `deliver`, which fnframe retries."""
    context.enqueue("deliver", greeting)
    return {"accepted": greeting.name}


@app.function(Http("GET /greetings/{name}"))
def greeting_of(request: Request) -> Greeting:
    return Greeting(request.path_params["name"])


@app.function(timeout=10, retries=2, on_failure="file:failed.jsonl")
def deliver(greeting: Greeting, context: Context) -> str:
    print(f"attempt {context.attempt}: {greeting.words}, {greeting.name}")
    return greeting.name


@app.function(Cron("0 6 * * *", tz="Europe/Berlin"))
def report(tick: Tick) -> None:
    print("good morning, it is", tick.scheduled)
