"""Functions that were written for Lambda: in our runtime, and in AWS's by the Runtime API."""

import sys

from fnframe import App

app = App("door")
app.lambda_function("echo", handler="door_handler.echo")
app.lambda_function("ric", runtime="provided", command=[sys.executable, "-m", "awslambdaric", "door_handler.echo"])
