"""Where treasure lies: a part of the app that needs no fnframe, and no database."""

from __future__ import annotations

from hashlib import blake2b

SIZE = 16
FIND, RICH = 0.25, 0.03
"""How many of the places hold something, and how many hold much."""


def treasure(x: int, y: int, seed: str = "november") -> int:
    """The points that a place is worth, always the same."""
    luck = int.from_bytes(blake2b(f"{seed} {x} {y}".encode(), digest_size=4).digest()) / 2**32
    if luck < RICH:
        return 50
    return 1 + int(luck * 40) if luck < FIND else 0
