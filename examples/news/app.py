"""News: every few seconds feeds are fetched, their articles sorted and stored, and what is new is told of."""

from __future__ import annotations

import os
from collections import defaultdict
from html import escape
from pathlib import Path

import reading
import store
from fnframe_cron import Cron, Tick
from fnframe_http import Http, Response
from fnframe_queue import Queue
from reading import Article, Feed

from fnframe import App, Batch, Context

FEEDS = Path(__file__).parent / "feeds.txt"
LOCAL = f"http://127.0.0.1:{os.environ.get('NEWS_PORT', '8099')}/"
# So that there is something to see: for feeds of others write "*/15 * * * *".
SCHEDULE = os.environ.get("NEWS_SCHEDULE", "*/10 * * * * *")

app = App("news")


@app.function(Cron(SCHEDULE, name="poll", overlap="skip"))
def poll(tick: Tick, context: Context) -> int:
    """Have each feed fetched by itself: one that fails is tried again without the others."""
    with store.opened() as news:
        due = [url for url in _feeds() if news.is_due(url, tick.scheduled)]
    for url in due:
        context.enqueue("fetch", Feed(url))
    return len(due)


@app.function(memory=256, timeout=20, retries=3, on_failure="file:data/failed.jsonl")
def fetch(feed: Feed, context: Context) -> int:
    """Store what is new in a feed, and send it to who tells of it."""
    with store.opened() as news:
        try:
            page = reading.get(feed.url, news.seen(feed.url))
            articles = [] if page is None else reading.articles(page)
        except Exception:
            news.note_failure(feed.url)
            raise
        if page is not None:
            news.add(articles)
        news.note_success(feed.url, page)
        # Marked when it was sent: if this is ended in between, its next attempt sends it again, with the same ids.
        unsent = news.lend_unsent(feed.url, context.request_id)
        for article in unsent:
            context.send("news", article)
        news.mark_sent(unsent)
    print(len(unsent), "new in", feed.url)
    return len(unsent)


@app.function(Queue("news", batch_size=20, window=1.0))
def notify(batch: Batch[Article]) -> int:
    """Tell of what is new, by category. A real one would write a mail here."""
    by_category: defaultdict[str, list[Article]] = defaultdict(list)
    for article in batch.data:
        by_category[article.category].append(article)
    for category, articles in sorted(by_category.items()):
        print("\n  ".join([f"{category}:", *(f"{article.title} ({article.feed_title})" for article in articles)]))
    return len(batch)


@app.function(Http("GET /"))
def front_page() -> Response:
    with store.opened() as news:
        articles = news.newest(50)
    items = "\n".join(
        f'<li><a href="{escape(article.link)}">{escape(article.title)}</a> <small>{escape(article.category)}, '
        f"{escape(article.feed_title)}</small></li>"
        for article in articles
    )
    return Response(PAGE.format(items=items or "<li>No news yet.</li>"), content_type="text/html; charset=utf-8")


def _feeds() -> list[str]:
    """The URLs in feeds.txt; a name alone is a feed of the server that comes with this example."""
    lines = [line.strip() for line in FEEDS.read_text("utf-8").splitlines()]
    return [line if "://" in line else LOCAL + line for line in lines if line and not line.startswith("#")]


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>News</title>
<style>
  body {{ font: 1rem/1.6 system-ui, sans-serif; margin: 2rem auto; max-width: 45rem; padding: 0 1rem; }}
  small {{ color: #555; }}
</style>
<h1>News</h1>
<ul>
{items}
</ul>
"""
