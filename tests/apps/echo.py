"""The smallest app."""

import os

from fnframe import App

app = App("echo")


@app.function()
def echo(event):
    return event


@app.function()
def pid():
    return os.getpid()
