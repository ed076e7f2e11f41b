"""What only a socket can tell: bytes as they go over the wire."""

from __future__ import annotations

from typing import Any

import anyio
import httpx2
import pytest
from anyio.abc import SocketStream

pytestmark = pytest.mark.anyio


async def connected(client: httpx2.AsyncClient) -> SocketStream:
    return await anyio.connect_tcp(client.base_url.host, client.base_url.port or 80)


async def received(stream: SocketStream, end: bytes) -> bytes:
    """What comes until `end` has come."""
    data = b""
    with anyio.fail_after(10):
        while end not in data:
            data += await stream.receive()
    return data


async def test_a_body_that_tells_its_length_is_refused_before_it_is_read(web: httpx2.AsyncClient) -> None:
    async with await connected(web) as stream:
        await stream.send(b"POST /size HTTP/1.1\r\nhost: x\r\ncontent-length: 6291457\r\nexpect: 100-continue\r\n\r\n")
        answer = await received(stream, b"requestId")
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_body_without_a_length_is_cut_at_the_limit(kit: Any) -> None:
    async with kit.serving(kit.WEB, http__max_body=1000) as web, await connected(web) as stream:
        await stream.send(b"POST /size HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for _ in range(3):
            await stream.send(b"190\r\n" + b"x" * 400 + b"\r\n")
        answer = await received(stream, b"requestId")
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_a_chunked_body_arrives_whole(web: httpx2.AsyncClient) -> None:
    async with await connected(web) as stream:
        await stream.send(b"POST /raw HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        for part in (b"a", b"bc", b"def"):
            await stream.send(b"%x\r\n%s\r\n" % (len(part), part))
        await stream.send(b"0\r\n\r\n")
        answer = await received(stream, b"fedcba")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_goes_away_ends_its_invocation(kit: Any, tmp_path: Any) -> None:
    async with kit.serving(kit.WEB) as web:
        async with await connected(web) as stream:
            await stream.send(f"GET /waits?folder={tmp_path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            await kit.until(lambda: (tmp_path / "began").exists() and (tmp_path / "began").read_text())
        pid = int((tmp_path / "began").read_text())
        await kit.until(lambda: not _is_alive(pid))
        assert (await web.post("/echo", json=1)).json() == 1


async def test_a_client_that_goes_away_while_it_sends_is_no_event(web: httpx2.AsyncClient) -> None:
    async with await connected(web) as stream:
        await stream.send(b"POST /later HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
    assert (await web.post("/echo", json=1)).json() == 1


async def test_head_sends_no_body(web: httpx2.AsyncClient) -> None:
    async with await connected(web) as stream:
        await stream.send(b"HEAD /value/text HTTP/1.1\r\nhost: x\r\n\r\nGET /value/none HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = await received(stream, b"null")
    first, second = answer.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert first.endswith(b"\r\n\r\n")
    assert b"content-length: 6\r\n" in first
    assert second.endswith(b"\r\n\r\nnull")


async def test_connections_are_kept_and_pipelined_requests_answered_in_order(web: httpx2.AsyncClient) -> None:
    async with await connected(web) as stream:
        await stream.send(b"".join(b"GET /number/%d HTTP/1.1\r\nhost: x\r\n\r\n" % n for n in range(5)))
        answer = await received(stream, b"\r\n\r\n4")
    assert [part.rpartition(b"\r\n")[2] for part in answer.split(b"HTTP/1.1 200 OK")[1:]] == [
        b"0",
        b"1",
        b"2",
        b"3",
        b"4",
    ]


@pytest.mark.parametrize("host", ["::1", "localhost"])
async def test_other_addresses_of_loopback(kit: Any, host: str) -> None:
    async with kit.serving(kit.SMALL, http__host=host) as web:
        assert (await web.get("/healthz")).status_code == 200


async def test_many_at_once(web: httpx2.AsyncClient) -> None:
    answers: list[int] = []

    async def ask(number: int) -> None:
        answer = await web.post("/echo", json=number)
        answers.append(answer.json() if answer.status_code == 200 else answer.status_code)

    async with anyio.create_task_group() as tasks:
        for number in range(1000, 1060):
            tasks.start_soon(ask, number)
    assert {answer for answer in answers if answer != 429} <= set(range(1000, 1060))
    assert len(answers) == 60


def _is_alive(pid: int) -> bool:
    from pathlib import Path

    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
