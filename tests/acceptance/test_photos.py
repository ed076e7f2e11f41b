"""examples/photos as a user runs it: once over what lies there, and as a service that uploads arrive at."""

from __future__ import annotations

import json
import re
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from PIL import Image, ImageChops, ImageStat

SIZES = {
    "bricks.jpg": (320, 320),
    "cat.jpg": (320, 213),
    "clock.jpg": (320, 240),
    "coffee.jpg": (320, 213),
    "eye.jpg": (320, 320),
}


@pytest.fixture
def photos(example):
    return example("photos")


@pytest.fixture
def once(fnframe):
    """Run the app until it is idle; its lines, after its status was 0."""

    def once():
        result = fnframe("run", "photos", "--until-idle")
        assert result.returncode == 0, result.stdout + result.stderr
        assert result.stderr == ""
        return result.stdout.splitlines()

    return once


def thumbnails(photos):
    return {path.name: Image.open(path) for path in (photos / "thumbnails").iterdir()}


def difference(one, other):
    """Mean difference of two pictures of one size, of 255."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def test_each_photo_gets_its_thumbnail_and_each_failure_is_kept(photos, once):
    lines = once()
    made = thumbnails(photos)
    assert {name: picture.size for name, picture in made.items()} == SIZES
    assert {picture.mode for picture in made.values()} == {"RGB"}
    assert "7 events: 5 succeeded, 2 failed" in lines
    assert "  truncated.jpg (thumbnail, 3 attempts), kept in file:failed.jsonl" in lines
    assert "  not-an-image.jpg (thumbnail, 3 attempts), kept in file:failed.jsonl" in lines
    assert any(line.startswith("    OSError: image file is truncated") for line in lines)
    assert any(line.startswith("    UnidentifiedImageError: ") for line in lines)
    # Of the length of the file's name, which is not the same on each machine, only the wrapping depends.
    assert max(map(len, lines)) <= 80
    records = [json.loads(line) for line in (photos / "failed.jsonl").read_text().splitlines()]
    kept = {record["requestPayload"]["key"]: record for record in records}
    assert {key: record["responsePayload"]["errorType"] for key, record in kept.items()} == {
        "truncated.jpg": "OSError",
        "not-an-image.jpg": "UnidentifiedImageError",
    }
    for record in records:
        assert record["requestContext"]["condition"] == "RetriesExhausted"
        assert record["requestContext"]["approximateInvokeCount"] == 3


def test_it_tells_what_each_invocation_used(photos, once):
    lines = once()
    of_invocations = [line for line in lines if re.match(r"(ok|failed) +[\d.]+ m?s +\d+/256 MB +(cold|warm) ", line)]
    assert len(of_invocations) == 5 + 2 * 3
    usage = next(line for line in lines if line.startswith("thumbnail ")).split()
    assert usage[1:3] == ["11", "6"]
    assert int(re.search(r"(\d+)/256 MB", " ".join(usage))[1]) in range(10, 256)


def test_photos_are_upright_and_in_their_colours(photos, once):
    """The cat lies on its side with an orientation of 6; the coffee is CMYK."""
    once()
    made = thumbnails(photos)
    stored = Image.open(photos / "uploads" / "cat.jpg")
    assert stored.size == (300, 451)
    assert difference(made["cat.jpg"], stored.rotate(-90, expand=True).resize((320, 213))) < 5
    coffee = Image.open(photos / "uploads" / "coffee.jpg")
    assert coffee.mode == "CMYK"
    assert difference(made["coffee.jpg"], coffee.convert("RGB").resize((320, 213))) < 5


def test_a_second_run_handles_only_what_is_new(photos, once):
    once()
    before = {path: path.stat().st_mtime_ns for path in [photos / "failed.jsonl", *(photos / "thumbnails").iterdir()]}
    assert once()[0].startswith("nothing new")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    coffee = Image.open(photos / "uploads" / "coffee.jpg").convert("RGB")
    coffee.save(photos / "uploads" / "cat.jpg")
    (photos / "uploads" / "clock.jpg").unlink()
    assert "1 event: 1 succeeded" in once()
    assert difference(thumbnails(photos)["cat.jpg"], coffee.resize((320, 213))) < 5


def test_it_serves_photos_that_arrive(photos, start):
    run = start("run", "photos", "--port", "0")
    url = re.search(r"http://[\d.]+:\d+", run.read_until("photos: GET http"))[0]
    wait_for_thumbnails(run, 5)
    assert get(f"{url}/photos") == ("application/json", sorted(SIZES))
    part = photos / "uploads" / "arriving.part"
    part.write_bytes((photos / "uploads" / "cat.jpg").read_bytes())
    part.rename(photos / "uploads" / "a late cat.jpg")
    wait_for_thumbnails(run, 1)
    assert "a late cat.jpg" in get(f"{url}/photos")[1]
    with urlopen(f"{url}/photos/a%20late%20cat.jpg") as response:
        assert response.headers["content-type"] == "image/jpeg"
        assert Image.open(response).size == SIZES["cat.jpg"]
    with urlopen(f"{url}/") as response:
        assert '<img src="photos/a%20late%20cat.jpg"' in response.read().decode()
    for name in ("absent.jpg", "..%2Fapp.py", "%2Fetc%2Fpasswd", "..%2Fuploads%2Fcat.jpg"):
        with pytest.raises(HTTPError, match="404"):
            urlopen(f"{url}/photos/{name}")
    assert run.end() == 0


def wait_for_thumbnails(run, count):
    """Read the log until so many more thumbnails are made."""
    while count:
        record = json.loads(run.read_until("platform.report"))["record"]
        count -= (record["functionName"], record["status"]) == ("thumbnail", "success")


def get(url):
    with urlopen(url) as response:
        return response.headers["content-type"], json.load(response)
