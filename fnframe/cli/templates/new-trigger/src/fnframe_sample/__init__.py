"""A trigger: each line that somebody sends to a port of TCP is an event."""

from .trigger import Sample

__all__ = ("Sample",)
