"""examples/photos as a user runs it: once over what lies there, and as a service that uploads arrive at."""

from __future__ import annotations

import json
import re
from io import BytesIO

import httpx2 as httpx
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


def picture(path):
    with Image.open(path) as opened:
        opened.load()
        return opened


def thumbnails(photos):
    return {path.name: picture(path) for path in (photos / "thumbnails").iterdir()}


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


def test_its_bill_is_that_of_the_readme(photos, once, bill_of, fnframe):
    once()
    (row,) = bill_of("photos").items()
    assert (row[0], row[1][:2]) == ("thumbnail", (11, 6))
    assert "128 MB would save" in fnframe("advise", "photos").stdout


def test_photos_are_upright_and_in_their_colours(photos, once):
    """The cat lies on its side with an orientation of 6; the coffee is CMYK."""
    once()
    made = thumbnails(photos)
    stored = picture(photos / "uploads" / "cat.jpg")
    assert stored.size == (300, 451)
    assert difference(made["cat.jpg"], stored.rotate(-90, expand=True).resize((320, 213))) < 5
    coffee = picture(photos / "uploads" / "coffee.jpg")
    assert coffee.mode == "CMYK"
    assert difference(made["coffee.jpg"], coffee.convert("RGB").resize((320, 213))) < 5


def test_a_second_run_handles_only_what_is_new(photos, once):
    once()
    before = {path: path.stat().st_mtime_ns for path in [photos / "failed.jsonl", *(photos / "thumbnails").iterdir()]}
    assert once()[0].startswith("nothing new")
    assert {path: path.stat().st_mtime_ns for path in before} == before
    coffee = picture(photos / "uploads" / "coffee.jpg").convert("RGB")
    coffee.save(photos / "uploads" / "cat.jpg")
    (photos / "uploads" / "clock.jpg").unlink()
    assert "1 event: 1 succeeded" in once()
    assert difference(thumbnails(photos)["cat.jpg"], coffee.resize((320, 213))) < 5


def test_it_serves_photos_that_arrive(photos, start, fnframe):
    run = start("run", "photos", "--port", "0")
    url = re.search(r"http://[\d.]+:\d+", run.read_until("photos: GET http"))[0]
    wait_for_thumbnails(run, 5)
    with httpx.Client(base_url=url) as client:
        assert client.get("/photos").json() == sorted(SIZES)
        part = photos / "uploads" / "arriving.part"
        part.write_bytes((photos / "uploads" / "cat.jpg").read_bytes())
        part.rename(photos / "uploads" / "a late cat.jpg")
        wait_for_thumbnails(run, 6)
        assert client.get("/photos").json() == sorted([*SIZES, "a late cat.jpg"])
        late = client.get("/photos/a%20late%20cat.jpg")
        assert late.headers["content-type"] == "image/jpeg"
        assert picture(BytesIO(late.content)).size == SIZES["cat.jpg"]
        page = client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert '<img src="photos/a%20late%20cat.jpg"' in page.text
        for name in ("absent.jpg", "..%2Fapp.py", "%2Fetc%2Fpasswd", "..%2Fuploads%2Fcat.jpg"):
            assert client.get(f"/photos/{name}").status_code == 404
    top = fnframe("top", "photos", "--window", "600").stdout.splitlines()
    assert {line.split()[0] for line in top[3:-2]} == {"photo", "photos", "thumbnail", "gallery"}
    assert run.end() == 0


def wait_for_thumbnails(run, count):
    """Read the log until so many were made since the start."""
    while sum('"functionName":"thumbnail"' in line and '"status":"success"' in line for line in reports(run)) < count:
        run.read_until("platform.report")


def reports(run):
    return [line for line in run.lines if '"platform.report"' in line]
