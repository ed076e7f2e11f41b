"""The frames that cross the process boundary, and their framing: four bytes of length, then MessagePack.

Both sides of a boundary are always of one release, since a host starts its own templates; still, the first frame
of a template carries the version, so that a mixture is refused by name.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from ..event import Event
from ..function import Function, Manifest
from ..provider import FirstTry

VERSION = 1

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""What can be counted and billed; a forged one must not end who adds it up."""


class Frame(msgspec.Struct, array_like=True):
    pass


# Host to environment.


class Bind(Frame, tag=1):
    """Become an environment of this function: the first frame.

    `provided` is its configuration where it is none of the template's app; `again` says how one environment
    failed to begin for the invocation that waits, so that this time is the invocation's.
    """

    function: str
    environment_id: str
    temporary_directory: str
    memory_kb: int
    response_payload: int
    asynchronous_payload: int
    provided: Function | None = None
    again: FirstTry | None = None


class Invoke(Frame, tag=2):
    request_id: str
    timeout: float
    attempt: int
    event: Event


class Ack(Frame, tag=3):
    """The answer to `Send`: the id of what was accepted, or why it was refused."""

    event_id: str | None
    problem: str | None


class Drained(Frame, tag=4):
    """The host has read all output that `Usage.pending` told of."""


# Environment to host.


class Ready(Frame, tag=16):
    """Bound; the app's start functions have run.

    `at` is when, on the scale of `time.monotonic()`, which all processes of a machine share; `cpu_us` the processor
    time that it took, in microseconds. `pending` is how many bytes of a provider's output wait in the pipe, which are
    no invocation's: then it begins nothing before the host has said `Drained`. `elsewhere` says that it works in a
    child process, and that its own memory is none of the function's.
    """

    at: float
    cpu_us: Count
    pending: Count = 0
    elsewhere: bool = False


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """What the environment measured of an invocation: nanoseconds, kilobytes and microseconds.

    `pending` is how many bytes of output wait in the pipe; `children` that a child process is left, running or not
    waited for.
    With either, or a peak over the limit, the environment begins nothing before the host has said `Drained`.
    """

    duration_ns: Count
    peak_kb: Count
    cpu_us: Count | None
    pending: Count
    children: bool


class Result(Frame, tag=17):
    payload: bytes
    content_type: str
    usage: Usage


class Raised(Frame, tag=18):
    """The handler raised, or its event or its result was no good; `rejected` says that it never ran.

    `body` is the error payload, where a provider's runtime made its own.
    """

    error_type: str
    message: str
    stack_trace: list[str]
    rejected: bool
    usage: Usage
    body: bytes = b""


class Send(Frame, tag=19):
    """From inside a handler: hand this over to `function:NAME`, `queue:NAME` or `stream:NAME`; the environment waits
    for `Ack`. `key` is a message's group or a record's key, `delay` in seconds."""

    target: str
    data: bytes
    number: int
    key: str | None = None
    delay: float = 0.0


# Host to template.


class Fork(Frame, tag=32):
    """Fork an environment onto the two descriptors that come with this frame: its socket and its output."""

    number: int


class Release(Frame, tag=33):
    """The host will not signal this process any more: reap it, as soon as it is dead."""

    pid: int


# Template to host.


class Imported(Frame, tag=48):
    version: int
    manifest: Manifest
    memory_method: str


class NotImported(Frame, tag=49):
    error_type: str
    message: str
    where: str | None
    traceback: str


class Forked(Frame, tag=50):
    """The environment's process id; 0, and why, where it could not be forked."""

    number: int
    pid: int
    problem: str = ""


class Exited(Frame, tag=51):
    """An environment ended: its exit code, or the negative signal number. It is not reaped yet."""

    pid: int
    code: int
    core_dumped: bool


class Reaped(Frame, tag=52):
    """What the ended environment used since its last reset: the peak in kilobytes."""

    pid: int
    peak_kb: int
    cpu_us: int


_HEADER = 4
_LENGTH = struct.Struct(">I")
_length, _put_length = _LENGTH.unpack_from, _LENGTH.pack_into

AnyFrame = (
    Bind | Invoke | Ack | Drained | Ready | Result | Raised | Send | Fork | Release | Imported | NotImported | Forked
    | Exited | Reaped
)  # fmt: skip

_encode_into = msgspec.msgpack.Encoder().encode_into
_decode_any = msgspec.msgpack.Decoder(AnyFrame).decode


def _decode(body: bytes | bytearray) -> Any:
    try:
        return _decode_any(body)
    except UnicodeDecodeError as error:  # The one thing that msgspec does not say in its own words.
        raise msgspec.DecodeError(str(error)) from None


def encode(frame: Frame) -> bytearray:
    buffer = bytearray(_HEADER)
    _encode_into(frame, buffer, _HEADER)
    _put_length(buffer, 0, len(buffer) - _HEADER)
    return buffer


class Reader:
    """Makes frames of bytes as they come, cut anywhere. Raises `msgspec.DecodeError` for what is none."""

    __slots__ = ("_rest", "largest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self.largest = math.inf
        """Bytes: a length above it is no length, but something else that was written into the socket."""

    def feed(self, data: bytes) -> Sequence[Any]:
        if not self._rest and len(data) > _HEADER and _length(data, 0)[0] + _HEADER == len(data):
            return (_decode(data[_HEADER:]),)  # One whole frame: nearly always.
        self._rest += data
        buffer, self._rest = self._rest, bytearray()
        frames = []
        start, size = 0, len(buffer)
        while size - start >= _HEADER:
            length = _length(buffer, start)[0]
            if length > self.largest:
                raise msgspec.DecodeError(f"a frame of {length:,} bytes")
            end = start + _HEADER + length
            if end > size:
                break
            frames.append(_decode(buffer[start + _HEADER : end]))
            start = end
        self._rest = buffer[start:] if start else buffer
        return frames
