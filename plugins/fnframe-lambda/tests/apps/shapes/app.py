"""Functions behind triggers, with events in the shapes of AWS."""

from fnframe_cron import Cron
from fnframe_files import Files
from fnframe_http import Http
from fnframe_queue import Queue
from fnframe_stream import Stream

from fnframe import App

app = App("shapes")

app.lambda_function("any", Http("ANY /any/{rest:path}"), handler="handlers.seen")
app.lambda_function("answers", Http("POST /answers"), handler="handlers.answers")
app.lambda_function("mangum", Http("ANY /web/{rest:path}"), handler="web.handler", memory=256)
NODE = {"runtime": "provided", "command": ["node", "../shop/runtime.mjs", "does"], "memory": 256, "timeout": 30}
app.lambda_function("node", Http("POST /node"), **NODE)
app.lambda_function("node_table", event_format="aws:dynamodb", **NODE)
app.lambda_function("plain", Http("POST /plain"), handler="handlers.seen", event_format="data")
app.lambda_function("bus", Http("POST /bus"), handler="handlers.seen", event_format="aws:eventbridge")
app.lambda_function("files", Files("uploads"), handler="handlers.seen")
app.lambda_function("queue", Queue("orders", window=0.02), handler="handlers.partly")
app.lambda_function("topic", Queue("news", batch_size=1), handler="handlers.seen", event_format="aws:sns")
app.lambda_function("stream", Stream("clicks", batch_size=10), handler="handlers.seen")
app.lambda_function("table", Stream("changes"), handler="handlers.seen", event_format="aws:dynamodb")
app.lambda_function("tick", Cron("0 3 * * *", name="nightly"), handler="handlers.seen")
