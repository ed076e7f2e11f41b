"""Why a pattern is none. The texts are EventBridge's own, where it has been seen to give them."""

from __future__ import annotations


class Invalid(Exception):
    """A part of a pattern is wrong; the text is the reason."""


EMPTY_ARRAY = "Empty arrays are not allowed"
ONLY_ONE_KEY = "Only one key allowed in match expression"
TOO_MANY_ELEMENTS = "Too many elements in numeric expression"
