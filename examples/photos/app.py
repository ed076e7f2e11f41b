"""Photos: uploads arrive in a folder, a function makes thumbnails, HTTP functions list and serve them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import msgspec
from fnframe_files import Bucket, Files, ObjectCreated, ObjectMissing
from fnframe_http import Http, Request, Response
from PIL import Image, ImageOps

from fnframe import App

THUMBNAILS = Bucket(str(Path(__file__).parent / "thumbnails"))
LONGER_SIDE = 320

# Pillow loads its formats at the first picture; here they are loaded once, for all environments.
Image.preinit()

app = App("photos")


class Thumbnail(msgspec.Struct):
    name: str
    width: int
    height: int


@app.function(Files("uploads", "*.jpg"), memory=256, timeout=10, retries=2, on_failure="file:failed.jsonl")
def thumbnail(event: ObjectCreated) -> Thumbnail:
    with event.open() as file, Image.open(file, formats=["JPEG"]) as photo:
        photo.thumbnail((LONGER_SIDE, LONGER_SIDE))
        upright = ImageOps.exif_transpose(photo).convert("RGB")
    # It is there when it is whole: who asks meanwhile never gets half a picture.
    with THUMBNAILS.create(event.key) as file:
        upright.save(file, "JPEG", quality=85)
    return Thumbnail(event.key, *upright.size)


@app.function(Http("GET /photos"))
def photos() -> Sequence[str]:
    return THUMBNAILS.list()


@app.function(Http("GET /photos/{name:path}"))
def photo(request: Request) -> Response:
    name = request.path_params["name"]
    try:
        return Response(THUMBNAILS.get(name), content_type="image/jpeg")
    except (ObjectMissing, ValueError):
        return Response({"error": f"there is no photo {name!r}"}, status=404)


@app.function(Http("GET /"))
def gallery() -> Response:
    pictures = "\n".join(
        f'<figure><img src="photos/{quote(name)}" alt=""><figcaption>{escape(name)}</figcaption></figure>'
        for name in THUMBNAILS.list()
    )
    return Response(PAGE.format(pictures=pictures or "<p>No photos yet.</p>"), content_type="text/html; charset=utf-8")


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Photos</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem; display: flex; flex-wrap: wrap; gap: 1.5rem; }}
  figure {{ margin: 0; }}
  figcaption {{ color: #555; }}
</style>
<body>
{pictures}
</body>
</html>
"""
