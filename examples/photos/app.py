"""Photos: uploads arrive in a folder, a function makes thumbnails, HTTP functions list and serve them."""

from __future__ import annotations

from html import escape
from pathlib import Path
from urllib.parse import quote

import msgspec
from fnframe_files import Files, ObjectCreated
from fnframe_http import Http, Request, Response
from PIL import Image, ImageOps

from fnframe import App, Context

THUMBNAILS = Path(__file__).parent / "thumbnails"
LONGER_SIDE = 320

# Pillow loads its formats at the first picture; here they are loaded once, for all environments.
Image.preinit()

app = App("photos")


class Thumbnail(msgspec.Struct):
    name: str
    width: int
    height: int


@app.function(Files("uploads", "*.jpg"), memory=256, timeout=10, retries=2, on_failure="file:failed.jsonl")
def thumbnail(event: ObjectCreated, context: Context) -> Thumbnail:
    with Image.open(event.path, formats=["JPEG"]) as photo:
        photo.thumbnail((LONGER_SIDE, LONGER_SIDE))
        upright = ImageOps.exif_transpose(photo).convert("RGB")
    place = THUMBNAILS / event.key
    place.parent.mkdir(parents=True, exist_ok=True)
    # Renamed when it is whole: who lists the folder meanwhile never gets half a picture.
    part = place.with_name(f".{context.request_id}.part")
    upright.save(part, "JPEG", quality=85)
    part.replace(place)
    return Thumbnail(event.key, *upright.size)


@app.function(Http("GET /photos"))
def photos() -> list[str]:
    return _names()


@app.function(Http("GET /photos/{name:path}"))
def photo(request: Request) -> Response:
    name = request.path_params["name"]
    # Only what is listed is served, so no name leads out of the folder.
    if name not in _names():
        return Response({"error": f"there is no photo {name!r}"}, status=404)
    return Response((THUMBNAILS / name).read_bytes(), content_type="image/jpeg")


@app.function(Http("GET /"))
def gallery() -> Response:
    pictures = "\n".join(
        f'<figure><img src="photos/{quote(name)}" alt=""><figcaption>{escape(name)}</figcaption></figure>'
        for name in _names()
    )
    return Response(PAGE.format(pictures=pictures or "<p>No photos yet.</p>"), content_type="text/html; charset=utf-8")


def _names() -> list[str]:
    return sorted(path.relative_to(THUMBNAILS).as_posix() for path in THUMBNAILS.rglob("*.jpg"))


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
