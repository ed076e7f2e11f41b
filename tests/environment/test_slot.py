"""What is left of temporary directories."""

from __future__ import annotations

import shutil

import pytest

from fnframe.environment.slot import remove


@pytest.mark.parametrize("programs", ["installed", "missing", "only rm"])
def test_a_directory_goes_with_all_in_it(tmp_path, monkeypatch, programs):
    folder = tmp_path / "slot"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "file").write_text("left by a handler")
    (folder / "link").symlink_to(tmp_path)
    (folder / "-rf").touch()
    if programs != "installed":
        (tmp_path / "bin").mkdir()
        if programs == "only rm":
            (tmp_path / "bin" / "rm").symlink_to(str(shutil.which("rm")))
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    remove(folder)
    assert not folder.exists()
    assert tmp_path.exists()
