"""What a filter costs: the events of one process in a second, beside decoding their data alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from fnframe.event import Event, decode_json, encode_json, now
from fnframe.filter.documents import compile_event_filter

from .harness import Figures, Goal, case, main

EVENTS = 50_000
DATA = {
    "order": "5f2c", "state": "paid", "total": 120.5, "customer": {"country": "DE", "vip": True, "ip": "10.1.2.3"},
    "items": [{"sku": "kettle", "count": 2}, {"sku": "tea", "count": 1}], "tags": ["new", "gift"],
}  # fmt: skip
EVENT = Event(id="1", source="shop", type="order.paid", time=now(), subject="orders/5f2c.json", data=encode_json(DATA))

ALONE = "the data decoded, no filter"
GOALS = [
    Goal("two keys of the envelope", "per second", against=ALONE, at_least=0.5),
    Goal("three keys of the data", "per second", against=ALONE, at_least=0.2),
]


def rate(test: Callable[[Event], Any], *, fits: bool = True) -> Figures:
    assert bool(test(EVENT)) is fits
    begin = time.perf_counter()
    for _ in range(EVENTS):
        test(EVENT)
    return {"per second": EVENTS / (time.perf_counter() - begin)}


@case(ALONE)
def _() -> Figures:
    return rate(lambda event: decode_json(event.data))


@case("two keys of the envelope")
def _() -> Figures:
    return rate(compile_event_filter({"type": [{"prefix": "order."}], "subject": [{"suffix": ".json"}]}))


@case("three keys of the data")
def _() -> Figures:
    pattern = {"data": {"state": ["paid"], "total": [{"numeric": [">", 100]}], "customer": {"country": ["DE", "AT"]}}}
    return rate(compile_event_filter(pattern))


@case("an element of an array with two keys")
def _() -> Figures:
    return rate(compile_event_filter({"data": {"items": {"sku": ["tea"], "count": [1]}}}))


@case("ten patterns, none of which fits")
def _() -> Figures:
    patterns = [{"data": {"state": [f"s{number}"], "total": [{"numeric": [">", 0]}]}} for number in range(10)]
    return rate(compile_event_filter(patterns), fits=False)


if __name__ == "__main__":
    main(__spec__, GOALS, {"per second": "events/s"})
