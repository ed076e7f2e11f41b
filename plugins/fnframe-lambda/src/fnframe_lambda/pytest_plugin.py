"""The fixture `lambda_endpoint`: an app behind Lambda's API, for test suites that call functions by boto3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .serving import Endpoint


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("lambda_target", "the app that the fixture lambda_endpoint serves: as for `fnframe run`", default=".")


@pytest.fixture(scope="session")
def lambda_target(pytestconfig: pytest.Config) -> str:
    """Which app `lambda_endpoint` serves: the ini option of this name, or a fixture that takes this one's place."""
    return str(pytestconfig.getini("lambda_target"))


@pytest.fixture(scope="session")
def lambda_settings() -> Mapping[str, object]:
    """With what settings `lambda_endpoint` serves it: nothing of one session is left to the next, unless a fixture that
    takes this one's place says so."""
    return {"engine": "memory:"}


@pytest.fixture(scope="session")
def lambda_endpoint(lambda_target: str, lambda_settings: Mapping[str, object]) -> Iterator[Endpoint]:
    """The app, served on a free port of loopback until the session ends; `lambda_endpoint.client()` is boto3's."""
    from .serving import endpoint

    with endpoint(lambda_target, lambda_settings) as served:
        yield served
