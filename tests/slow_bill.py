"""The bill once more, from a ledger's rows alone, by somebody who trusts only Decimal and takes his time."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, localcontext

ROWS = """
    SELECT function, memory_mb, storage_mb, provisioned, started_ms, init_us, duration_us, requests, peak_kb, cpu_us
    FROM invocations JOIN kinds ON kinds.id = kind
"""
RESERVED = "SELECT memory_mb, begun_ms, reserved_ms FROM reservations JOIN kinds ON kinds.id = kind"


def slow_bill(connection, book, free_tier):
    """What all months cost together, in 1e-12 of the currency."""
    with localcontext() as context:
        context.prec = 60
        months = defaultdict(lambda: defaultdict(Decimal))
        for row in connection.execute(ROWS):
            _count(months, book, *row)
        for memory, begun, reserved in connection.execute(RESERVED):
            months[_month(begun)]["provisioned"] += Decimal(reserved) / 1000 * memory / 1024
        return sum(_cost(book, meters, free_tier) for meters in months.values())


def _count(months, book, _function, memory, storage, provisioned, started, init, duration, requests, peak, cpu):
    meters = months[_month(started)]
    time = Decimal(duration)
    handler = _milliseconds(time)
    if book.init_billed and init is not None:
        time += init
    seconds = _milliseconds(time) / 1000
    meters["requests"] += requests
    meters["provisioned-compute" if provisioned else "compute"] += seconds * memory / 1024
    meters["storage"] += seconds * (storage - 512) / 1024
    meters["cpu"] += Decimal(duration if cpu is None else cpu) / 1_000_000
    peak_mb = memory if peak is None else (Decimal(peak) / 1024).to_integral_value(ROUND_CEILING)
    meters["memory"] += handler / 1000 * peak_mb / 1024


def _milliseconds(microseconds):
    return max(Decimal(1), (microseconds / 1000).to_integral_value(ROUND_CEILING))


def _month(milliseconds):
    moment = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    return moment.year, moment.month


def _cost(book, meters, free_tier):
    total = Decimal(0)
    known = {price.meter for price in book.price_list()}
    for price in book.price_list():
        left = meters[price.meter]
        if price.meter == "compute" and "provisioned-compute" not in known:
            left += meters["provisioned-compute"]
        if free_tier:
            left = max(Decimal(0), left - price.free)
        begin = Decimal(0)
        for tier in price.steps():
            width = left if tier.up_to is None else min(left, tier.up_to - begin)
            total += width * tier.price / price.per
            left -= width
            begin = Decimal(tier.up_to or 0)
    return int((total * 10**12).quantize(Decimal(1), ROUND_HALF_EVEN))
