"""Functions with tenants and tags."""

from fnframe import App

app = App("tenants")


@app.function(tenant="$.customer.id", tags={"team": "web"}, ephemeral_storage=1024)
def order(event):
    return event["customer"]


@app.function(tenant="header:tenant")
def chained():
    pass


@app.function(tenant="$.customer.id")
async def passes_on(event, context):
    await context.enqueue("chained")


@app.function(isolation="inline", tenant="$.id", provisioned_concurrency=0)
async def inline(event):
    return event["id"]


@app.function()
def plain():
    return 1


@app.function(provisioned_concurrency=1)
def warm():
    pass
