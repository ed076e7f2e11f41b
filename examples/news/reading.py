"""From a feed's address to its articles."""

from __future__ import annotations

import re
from html import unescape
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit
from urllib.request import Request, urlopen

import feedparser
import msgspec

AGENT = "fnframe-news/1.0 (an example)"
LARGEST = 5_000_000
TIMEOUT = 10.0

CATEGORIES = {
    "science": ("seal", "whale", "survey", "scientist", "telescope", "fossil", "plankton", "species", "laboratory"),
    "weather": ("storm", "tide", "rain", "wind", "forecast", "flood", "snow", "gale", "fog"),
    "transport": ("ferry", "train", "bridge", "road", "tram", "bus", "timetable", "pier", "cycle"),
    "culture": ("concert", "museum", "festival", "novel", "choir", "exhibition", "theatre", "film"),
    "economy": ("market", "price", "harbour dues", "budget", "wage", "trade", "fishery", "tax"),
}


class Feed(msgspec.Struct, frozen=True):
    url: str


class Article(msgspec.Struct, frozen=True):
    """`link` without what only counts visitors: two feeds that tell of one page tell of one article."""

    link: str
    title: str
    summary: str
    category: str
    published: str
    feed: str
    feed_title: str


class Page(msgspec.Struct, frozen=True):
    """A feed as its server gave it, and what the server wants to hear the next time."""

    url: str
    body: bytes
    content_type: str
    etag: str | None
    modified: str | None


def get(url: str, seen: tuple[str | None, str | None]) -> Page | None:
    """The feed; None if it is what was `seen` (its ETag, its Last-Modified).

    Raises `ConnectionError` where the server does not give it, and `ValueError` for what cannot be fetched at all.
    """
    etag, modified = seen
    conditions = {"If-None-Match": etag, "If-Modified-Since": modified}
    headers = {"User-Agent": AGENT, **{name: value for name, value in conditions.items() if value}}
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"a feed's address begins with http:// or https://, found {url!r}")
    try:
        with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as response:  # noqa: S310  looked at above
            body = response.read(LARGEST + 1)
            if len(body) > LARGEST:
                raise ValueError(f"{url} is larger than {LARGEST:,} bytes")
            told = response.headers
            return Page(url, body, told.get("Content-Type", ""), told.get("ETag"), told.get("Last-Modified"))
    except HTTPError as error:
        if error.code == 304:
            return None
        raise ConnectionError(f"{url} answers {error.code} {error.reason}") from None
    except URLError as error:
        raise ConnectionError(f"{url} cannot be reached: {error.reason}") from None


def articles(page: Page) -> list[Article]:
    """What a feed holds, RSS or Atom. Raises `ValueError` for what is neither."""
    parsed = feedparser.parse(page.body, response_headers={"content-type": page.content_type})
    # A feed may break rules (`bozo`) and be readable all the same; one without entries and version is none.
    if not parsed.entries and not parsed.version:
        raise ValueError(f"{page.url} is no feed: {parsed.get('bozo_exception', 'nothing in it is known')}")
    title = parsed.feed.get("title", urlsplit(page.url).netloc)
    return [_article(entry, page.url, title) for entry in parsed.entries if entry.get("link")]


def _article(entry: Any, feed: str, feed_title: str) -> Article:
    title, summary = _text(entry.get("title", "")), _text(entry.get("summary", ""))
    return Article(
        link=canonical(entry.link),
        title=title or entry.link,
        summary=summary,
        category=category_of(f"{title} {summary} {' '.join(tag.term or '' for tag in entry.get('tags', []))}"),
        published=_moment(entry.get("published_parsed") or entry.get("updated_parsed")),
        feed=feed,
        feed_title=feed_title,
    )


def canonical(link: str) -> str:
    """The address without fragment, `utm_` parameters and a last slash, its host in lower case."""
    parts = urlsplit(link)
    query = [(name, value) for name, value in parse_qsl(parts.query) if not name.startswith("utm_")]
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"), urlencode(query), ""))


def category_of(text: str) -> str:
    """The category of which most words occur."""
    words = text.lower()
    hits = {
        category: sum(len(re.findall(rf"\b{word}", words)) for word in known) for category, known in CATEGORIES.items()
    }
    best = max(hits, key=lambda category: hits[category])
    return best if hits[best] else "other"


def _text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def _moment(parsed: Any) -> str:
    """UTC, as feedparser gives it; empty where the feed tells none."""
    return "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z".format(*parsed[:6]) if parsed else ""
