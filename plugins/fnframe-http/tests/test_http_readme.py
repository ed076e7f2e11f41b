"""The README's code does what the README says."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

pytestmark = pytest.mark.anyio

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture
def blocks(tmp_path: Path) -> Iterator[list[str]]:
    """The README's Python, the app on disk where the second block imports it from."""
    found = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    (tmp_path / "app.py").write_text(found[0] + found[2])
    sys.path.insert(0, str(tmp_path))
    yield found
    sys.path.remove(str(tmp_path))
    sys.modules.pop("app", None)


async def test_stand_alone(blocks: list[str], kit: Any, tmp_path: Path) -> None:
    assert len(blocks) == 3
    async with kit.serving(str(tmp_path / "app.py")) as client:
        answer = await client.post("/orders", json={"item": "tea", "count": 2})
        assert (answer.status_code, answer.json()) == (201, {"placed": "tea"})
        assert answer.headers["location"] == "/orders/tea"
        answer = await client.post("/orders", json={"item": "tea", "count": "two"})
        assert (answer.status_code, answer.json()["path"]) == (400, "$.count")
        assert (await client.get("/orders/tea?verbose")).json() == {"item": "tea", "verbose": True}
        assert (await client.post("/reports", json={})).status_code == 202
        assert (await client.post("/hooks/here", json={"ref": "main"})).status_code == 202


async def test_mounted(blocks: list[str], tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(blocks[1])
    spec = importlib.util.spec_from_file_location("readme_main", tmp_path / "main.py")
    assert spec is not None
    assert spec.loader is not None
    main = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(main)
    transport = httpx2.ASGITransport(main.api)
    async with (
        main.api.router.lifespan_context(main.api),
        httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        assert (await client.get("/shop/orders/tea")).json() == {"item": "tea", "verbose": False}


def test_every_status_is_told() -> None:
    told = set(re.findall(r"\b[2-5]\d\d\b", README.read_text().partition("| status | when |")[2].partition("\n\n")[0]))
    source = "".join(path.read_text() for path in (README.parent / "src" / "fnframe_http").glob("*.py"))
    raised = set(re.findall(r"Problem\(\s*(\d\d\d)", source))
    assert raised <= told
