"""Fixtures, found by pytest wherever fnframe is installed. Nothing is imported until one of them is used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .client import AppClient

    OpenClient = Callable[..., Awaitable[AppClient]]


@pytest.fixture
async def app_client(anyio_backend: Any) -> AsyncIterator[OpenClient]:
    """`client = await app_client(app)`: run an app for this test, which `@pytest.mark.anyio` makes async.

    Arguments are those of `fnframe.testing.open_client`. The client is closed with the test, which fails if it leaves
    behind events that have not come to their end, or faults that were asked for and never happened.
    """
    from .client import open_client

    opened: list[AppClient] = []
    async with AsyncExitStack() as stack:

        async def open_(target: Any, **options: Any) -> AppClient:
            client = await stack.enter_async_context(open_client(target, **options))
            opened.append(client)
            return client

        yield open_
        forgotten = [each for client in opened for each in await client.forgotten()]
    if forgotten:
        pytest.fail("\n".join(forgotten), pytrace=False)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """The test leaves no child process and no thread behind: what it left is ended, where it can be, and fails it.

    An app that was entered and never left is found by this. For all tests of a module:
    `pytestmark = pytest.mark.usefixtures("nothing_left")`.
    """
    from .leftovers import Leftovers

    before = Leftovers()
    yield
    left = before.end_what_is_new()
    if left:
        pytest.fail("the test left behind: " + "; ".join(left), pytrace=False)
