"""Folders that other machines write to."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fnframe_files import Files, mounts, serving
from fnframe_files.mounts import Mount, remote_mount

# As Linux writes them: a laptop, a container on somebody's desktop, an office.
TABLE = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
25 22 0:23 / /dev/shm rw,nosuid,nodev shared:2 - tmpfs tmpfs rw
31 22 0:50 / /srv/photos rw,relatime shared:11 - nfs4 server:/export/photos rw,vers=4.2,addr=10.0.0.1
32 31 0:51 / /srv/photos/local rw,relatime - ext4 /dev/sdb1 rw
33 22 0:52 / /mnt/with\040space rw,relatime - cifs //office/share rw
34 22 0:53 / /app rw,relatime - fuse.grpcfuse grpcfuse rw,user_id=0
35 22 0:54 / /windows rw,relatime - 9p drvfs rw
36 22 8:17 / /disk rw,relatime - fuseblk /dev/sdb1 rw
37 22 0:55 / /var/lib/data rw,relatime - overlay overlay rw
38 22 0:56 / /twice rw,relatime - nfs server:/twice rw
39 22 254:0 /data /twice rw,relatime - ext4 /dev/root rw
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(TABLE.lstrip())
    monkeypatch.setattr(mounts, "MOUNTS", path)
    return path


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/home/me/uploads", None),
        ("/dev/shm/x", None),
        ("/srv/photos", Mount("/srv/photos", "nfs4")),
        ("/srv/photos/raw/2026", Mount("/srv/photos", "nfs4")),
        ("/srv/photos/local/raw", None),
        ("/srv/photosynthesis", None),
        ("/srv", Mount("/srv/photos", "nfs4")),
        ("/mnt/with space", Mount("/mnt/with space", "cifs")),
        ("/app/uploads", Mount("/app", "fuse.grpcfuse")),
        ("/windows/c", Mount("/windows", "9p")),
        ("/disk/x", None),
        ("/var/lib/data", None),
        ("/twice/x", None),
    ],
)
def test_what_is_remote(folder: str, found: Mount | None) -> None:
    assert remote_mount(folder) == found


def test_where_the_system_does_not_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "none")
    assert remote_mount("/srv") is None


@pytest.mark.anyio
async def test_a_remote_folder_is_polled_and_says_so(
    kit: Any, uploads: Path, table: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with table.open("a") as file:
        file.write(f"40 22 0:57 / {uploads} rw - nfs4 server:/uploads rw\n")
    monkeypatch.setattr(serving, "POLL_REMOTE", 0.02)
    mapping = kit.Recorder(Files("uploads", settle=0.05), uploads.parent)
    with caplog.at_level(logging.WARNING):
        async with kit.serving(mapping):
            with (uploads / "a").open("w") as file:
                file.write("x")
                file.flush()
                # Nobody here can say whether another machine writes, so what counts is that nothing changes.
                await kit.until(lambda: mapping.created == ["a"])
                file.write("more")
            await kit.until(lambda: [found.size for found in mapping.objects] == [1, 5])
    assert mapping.texts.endswith("looks every 0.02 s")
    assert f"Files('uploads'): {uploads} is a file system of the type nfs4" in caplog.text
    assert "looked through every 0.02 s; `Files(..., poll=...)` says how often" in caplog.text


# In a namespace of its own a process may mount for itself.
UNMOUNT = """
import anyio, io, logging, subprocess, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from conftest import Files, Recorder, serving, until

folder = Path(sys.argv[2])
uploads, store = folder / "uploads", folder / "store"
log = io.StringIO()
logging.basicConfig(stream=log)
store.mkdir()
(store / "a").write_text("x")


def mount(*arguments):
    subprocess.run(arguments, check=True)


async def main():
    mount("mount", "--bind", store, uploads)
    poll = float(sys.argv[3]) or None
    mapping = Recorder(Files("uploads", events=("created", "removed"), poll=poll, settle=0.01), folder)
    mapping.settings = Files.Settings(reconcile=0.05)
    async with serving(mapping):
        assert mapping.created == ["a"]
        mount("umount", "-l", uploads)
        (uploads / "hidden").write_text("x")
        await until(lambda: "not mounted any more" in log.getvalue())
        mount("mount", "--bind", store, uploads)
        (uploads / "b").write_text("x")
        await until(lambda: "b" in mapping.created)
    assert mapping.created == ["a", "b"], mapping.created
    assert mapping.removed == []


anyio.run(main)
"""


@pytest.mark.parametrize("poll", ["0", "0.02"], ids=["inotify", "polling"])
def test_what_is_not_mounted_any_more_was_not_removed(uploads: Path, poll: str) -> None:
    """The folder is there, empty: a network that is away for a moment must not look like the removal of everything."""
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces, to mount for itself only")
    command = [sys.executable, "-c", UNMOUNT, str(Path(__file__).parent), str(uploads.parent), poll]
    run = subprocess.run(["unshare", "-Urm", *command], capture_output=True, text=True, check=False, timeout=150)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.anyio
async def test_who_chose_how_to_look_is_not_warned(
    kit: Any, uploads: Path, table: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with table.open("a") as file:
        file.write(f"40 22 0:57 / {uploads} rw - nfs4 server:/uploads rw\n")
    mapping = kit.Recorder(Files("uploads", poll=0.01, settle=0.02), uploads.parent)
    async with kit.serving(mapping):
        (uploads / "a").write_text("x")
        await kit.until(lambda: mapping.created == ["a"])
    assert caplog.text == ""


# As on a system that has no inotify, where nobody says either who writes to a file.
ELSEWHERE = """
import anyio, sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from conftest import Files, Recorder, serving, until
from fnframe_files import serving as module

sys.platform = "darwin"
module.POLL_WITHOUT_INOTIFY = 0.02
uploads = Path(sys.argv[2])


async def main():
    mapping = Recorder(Files("uploads", events=("created", "removed"), settle=0.1), uploads.parent)
    (uploads / "old").write_text("x")
    async with serving(mapping):
        assert mapping.created == ["old"]
        assert mapping.texts.endswith("looks every 0.02 s"), mapping.texts
        assert not [link for link in Path("/proc/self/fd").iterdir() if "inotify" in str(link.resolve())]
        with (uploads / "slow").open("w") as file:
            (uploads / "new").write_text("x")
            while "new" not in mapping.created:
                file.write("x")
                file.flush()
                await anyio.sleep(0.002)
            assert "slow" not in mapping.created
        await until(lambda: "slow" in mapping.created)
        assert mapping.objects[-1].size == (uploads / "slow").stat().st_size
        (uploads / "old").unlink()
        await until(lambda: mapping.removed == ["old"])


anyio.run(main)
"""


def test_where_there_is_no_inotify(uploads: Path) -> None:
    command = [sys.executable, "-c", ELSEWHERE, str(Path(__file__).parent), str(uploads)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert run.returncode == 0, run.stdout + run.stderr
