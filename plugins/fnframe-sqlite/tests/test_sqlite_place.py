"""What a URL says, and which places are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from fnframe_sqlite import place
from fnframe_sqlite.place import file_system_of, place_of, prepare

from fnframe import ConfigurationError

HERE = Path("/srv/app")


@pytest.mark.parametrize(
    ("url", "file", "synchronous"),
    [
        ("sqlite:///engine.db", "/srv/app/engine.db", "full"),
        ("sqlite:///.fnframe/engine.db", "/srv/app/.fnframe/engine.db", "full"),
        ("sqlite:////var/lib/engine.db", "/var/lib/engine.db", "full"),
        ("sqlite:///a%20b/c.db?synchronous=normal", "/srv/app/a b/c.db", "normal"),
        ("sqlite:///engine.db?synchronous=FULL", "/srv/app/engine.db", "full"),
    ],
)
def test_a_url_names_a_file(url, file, synchronous):
    assert place_of(url, HERE) == (Path(file), synchronous)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (
            "sqlite:",
            "names no file: write sqlite:///folder/name.db, from the app's folder, or sqlite:////folder/name.db",
        ),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///folder/", "names no file"),
        ("sqlite://host/engine.db", "names no file"),
        ("sqlite:engine.db", "names no file"),
        ("sqlite:///engine.db#x", "names no file"),
        ("sqlite:///a%00b.db", "names no file"),
        ("sqlite:///:memory:", "for an engine in memory write memory:"),
        ("sqlite:///engine.db?synchronous=off", "expected synchronous=full or synchronous=normal, found 'off'"),
        ("sqlite:///engine.db?sync=full", "has an unknown option 'sync'; known is: synchronous"),
        ("sqlite:///engine.db?synchronos=full", "did you mean 'synchronous'?"),
    ],
)
def test_a_wrong_url_is_refused(url, words):
    with pytest.raises(ConfigurationError) as caught:
        place_of(url, HERE)
    assert words in str(caught.value)
    assert repr(url) in str(caught.value)


MOUNTS = """\
22 1 252:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /home rw,relatime shared:2 - nfs4 server:/home rw
31 30 0:27 / /home/me/local\\040disk rw,relatime - ext4 /dev/vdb rw
32 22 0:28 / /mnt/share rw - cifs //server/share rw
33 22 0:29 / /mnt/shared rw - xfs /dev/vdc rw
34 22 0:30 / /over rw - ext4 /dev/vdd rw
35 34 0:31 / /over rw - fuse.sshfs host: rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/app", "ext4"),
        ("/home", "nfs4"),
        ("/home/me/app", "nfs4"),
        ("/home/me/local disk/app", "ext4"),
        ("/homes", "ext4"),
        ("/mnt/share/app", "cifs"),
        ("/mnt/shared/app", "xfs"),
        ("/over/app", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_folder_is_that_of_its_mount(tmp_path, folder, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert file_system_of(Path(folder), mounts) == kind


def test_where_the_system_does_not_tell_nothing_is_refused(tmp_path):
    assert file_system_of(tmp_path, tmp_path / "nothing") is None
    assert file_system_of(tmp_path) not in place.NETWORK


def test_a_network_file_system_is_refused_with_its_reason(tmp_path, monkeypatch):
    kind = file_system_of(tmp_path)
    monkeypatch.setattr(place, "NETWORK", {kind})
    with pytest.raises(ConfigurationError) as caught:
        prepare(place_of("sqlite:///deep/engine.db", tmp_path))
    assert f"is on a network file system ({kind}), where locks do not hold: put the file on a local disk" in str(
        caught.value
    )
    assert list((tmp_path / "deep").iterdir()) == []
