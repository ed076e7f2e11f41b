"""Archives of code, also those that somebody made to do harm."""

from __future__ import annotations

import io
import stat
import struct
import zipfile

import pytest
from fnframe_lambda import archive
from fnframe_lambda.archive import BadArchive, unpack
from hypothesis import given, settings
from hypothesis import strategies as st


def zipped(*entries):
    """An archive of (name, content) pairs, or of ZipInfo in place of a name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries:
            made.writestr(name, content)
    buffer.seek(0)
    return buffer


def everything_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_code_is_unpacked_with_its_permissions(tmp_path):
    program = zipfile.ZipInfo("bin/run")
    program.external_attr = (stat.S_IFREG | 0o755) << 16
    size = unpack(
        zipped(("a.py", "x = 1"), ("pkg/b.py", "y"), ("empty/", ""), (program, "#!/bin/sh")), tmp_path / "code"
    )
    assert everything_in(tmp_path / "code") == ["a.py", "bin", "bin/run", "empty", "pkg", "pkg/b.py"]
    assert size == 15
    assert (tmp_path / "code" / "bin" / "run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "code" / "a.py").stat().st_mode & 0o777 == 0o644
    assert everything_in(tmp_path)[0] == "code"
    assert not [name for name in everything_in(tmp_path) if "partial" in name]


def link():
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def device():
    info = zipfile.ZipInfo("device")
    info.external_attr = (stat.S_IFCHR | 0o666) << 16
    return info


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/x", "//x", "..", "a/..", "C:/x", "..\\x", "\\x", "a\\..\\..\\x"],
)
def test_names_that_lead_outside_are_refused(tmp_path, name):
    with pytest.raises(BadArchive, match="leads outside"):
        unpack(zipped(("first.py", "x"), (name, "x")), tmp_path / "in" / "code")
    assert everything_in(tmp_path) == ["in"]


@pytest.mark.parametrize("entry", [link(), device()])
def test_what_is_no_file_is_refused(tmp_path, entry):
    with pytest.raises(BadArchive, match="neither a file nor a directory"):
        unpack(zipped((entry, "/etc/passwd")), tmp_path / "code")
    assert everything_in(tmp_path) == []


def test_a_file_in_the_place_of_a_directory_is_refused(tmp_path):
    with pytest.raises(BadArchive):
        unpack(zipped(("a", "x"), ("a/b", "y")), tmp_path / "code")
    assert everything_in(tmp_path) == []


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST_UNZIPPED", 1_000_000)
    with pytest.raises(BadArchive, match="must be smaller than 1000000 bytes"):
        unpack(zipped(("bomb", b"\0" * 2_000_000)), tmp_path / "code")
    assert everything_in(tmp_path) == []


def test_a_bomb_that_lies_about_its_size_is_stopped_while_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST_UNZIPPED", 1_000_000)
    data = bytearray(zipped(("bomb", b"\0" * 2_000_000)).getvalue())
    told = struct.pack("<I", 2_000_000)
    while (place := data.find(told)) >= 0:
        data[place : place + 4] = struct.pack("<I", 10)
    with pytest.raises(BadArchive):
        unpack(io.BytesIO(bytes(data)), tmp_path / "code")
    assert everything_in(tmp_path) == []


def test_too_many_entries_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_ENTRIES", 10)
    with pytest.raises(BadArchive, match="11 entries"):
        unpack(zipped(*((f"f{number}", "") for number in range(11))), tmp_path / "code")


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04" + b"\0" * 40, b"PK\x05\x06" + b"\xff" * 18])
def test_what_is_no_archive_is_refused(tmp_path, data):
    with pytest.raises(BadArchive, match="Could not unzip uploaded file"):
        unpack(io.BytesIO(data), tmp_path / "code")
    assert everything_in(tmp_path) == []


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_archive_is_unpacked_or_refused_and_never_more(tmp_path_factory, data):
    whole = bytearray(zipped(("a.py", "x = 1" * 50), ("b/c.py", "y" * 100)).getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    try:
        unpack(io.BytesIO(bytes(whole)), folder / "in" / "code")
    except BadArchive:
        assert everything_in(folder) in ([], ["in"])
    else:
        assert all(name == "in" or name.startswith("in/code") for name in everything_in(folder))
