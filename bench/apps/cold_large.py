"""The same functions in an app whose import leaves 300 MB resident."""

from __future__ import annotations

from fnframe import App

from .cold import COUNT, echo

app = App("cold-large")
model = b"x" * (300 << 20)

for number in range(COUNT):
    app.function(name=f"echo{number}", memory=1024)(echo)
