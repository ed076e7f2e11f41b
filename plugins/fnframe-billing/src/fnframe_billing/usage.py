"""What was used, in whole numbers of the smallest units: sums of it lose nothing."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

INCLUDED_STORAGE = 512
"""MB of ephemeral storage that nobody pays for."""


class Usage(msgspec.Struct, frozen=True):
    """Sums over invocations.

    `requests` counts an asynchronous event of more than 256 KB several times. `mb_ms` is memory limit times billed
    milliseconds, `provisioned_mb_ms` the same in environments that were kept warm, `reserved_mb_ms` their own time,
    `storage_mb_ms` ephemeral storage beyond what is included times billed milliseconds. `cpu_us` is processor time, and
    `resident_mb_ms` peak memory times milliseconds; where they were not measured, one core and the memory limit stand
    in, and `unmeasured` counts these invocations.
    """

    invocations: int = 0
    failures: int = 0
    requests: int = 0
    mb_ms: int = 0
    provisioned_mb_ms: int = 0
    reserved_mb_ms: int = 0
    storage_mb_ms: int = 0
    cpu_us: int = 0
    resident_mb_ms: int = 0
    unmeasured: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*map(int.__add__, msgspec.structs.astuple(self), msgspec.structs.astuple(other)))


class Meter(NamedTuple):
    """What a price is for: a field of `Usage`, of which `base` make one `unit`."""

    field: str
    base: int
    unit: str

    def quantity(self, usage: Usage) -> int:
        """How much of it was used, in the field's own small units."""
        used: int = getattr(usage, self.field)
        return used


GB_S = 1024 * 1000
"""MB-ms in a GB-second."""

METERS = {
    "requests": Meter("requests", 1, "requests"),
    "compute": Meter("mb_ms", GB_S, "GB-s"),
    "provisioned-compute": Meter("provisioned_mb_ms", GB_S, "GB-s"),
    "provisioned": Meter("reserved_mb_ms", GB_S, "GB-s"),
    "storage": Meter("storage_mb_ms", GB_S, "GB-s"),
    "cpu": Meter("cpu_us", 1_000_000, "core-s"),
    "memory": Meter("resident_mb_ms", GB_S, "GB-s"),
}
"""By the names that price books use."""
