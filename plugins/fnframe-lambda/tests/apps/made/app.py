"""An app that has little of its own: what the tests call is made by the API."""

from fnframe import App, Context

app = App("made")

app.lambda_function("declared", handler="made.tells", timeout=2, variables={"COLOUR": "red"})


@app.function()
def native(event):
    return {"native": event}


@app.function()
def sends(messages, context: Context):
    """Send each message to where it says, of a stream's key or a queue's group."""
    for target, data, key in messages:
        context.send(target, data, **{"key" if target.startswith("stream:") else "group": key})
