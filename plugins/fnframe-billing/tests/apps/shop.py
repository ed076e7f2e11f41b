"""An app to be billed."""

import time

from fnframe import App

app = App("shop")


@app.function(memory=256, tenant="$.customer", tags={"team": "web"})
def order(event):
    return event


@app.function(retries=1)
def fails():
    raise ValueError("no luck")


@app.function(retries=0)
def sleeps(seconds):
    time.sleep(seconds)


@app.function(isolation="inline")
async def inline():
    return 1


@app.function()
async def chain(event, context):
    await context.enqueue("order", event)
