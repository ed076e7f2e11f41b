"""A function whose tenant is a header, and another that a plugin may refuse."""

from fnframe_http import Http

from fnframe import App

app = App("tenants")


@app.function(Http("POST /orders"), tenant="header:X-Tenant")
def orders() -> None:
    pass
