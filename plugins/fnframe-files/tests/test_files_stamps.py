"""Two changes within a tick of the kernel's clock, on file systems that stamp them with the same time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# ramfs has no finer stamps than ticks; in a namespace of its own a process may mount one for itself.
CHANGE = """
import anyio, subprocess, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from conftest import Recorder, serving, until
from fnframe_files import Files

folder = Path(sys.argv[2])
subprocess.run(["mount", "-t", "ramfs", "none", folder], check=True)
(folder / "uploads").mkdir()

async def main():
    mapping = Recorder(Files("uploads"), folder)
    async with serving(mapping):
        for number in range(40):
            (folder / "uploads" / "a").write_text(str(number % 10))
            await until(lambda: len(mapping.created) == number + 1, 5)

anyio.run(main)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system")
def test_a_change_right_after_an_event_is_another_version(tmp_path: Path) -> None:
    """It was lost while the kernel's clock lagged by more than a tick: the second version bore the first one's time."""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces, to mount a file system for itself only")
    command = ["unshare", "-Urm", sys.executable, "-c", CHANGE, Path(__file__).parent, tmp_path]
    subprocess.run(command, check=True, timeout=150)
