"""examples/news as a user runs it: feeds are fetched by a schedule, and what is new in them is told of, once."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

import httpx2 as httpx
import pytest
from facts import free_port

CATEGORIES = {
    "Choir looks for basses & a new hall": "culture",
    "Exhibition: charts that were wrong": "culture",
    "Café Müller wins prize for best market stall": "economy",
    "Harbour dues rise by two percent": "economy",
    "Letters: who feeds the gulls?": "other",
    "A fossil from the east cliff": "science",
    "Survey counts 412 grey seals \N{EN DASH} more than ever": "science",
    "Bridge closed for repairs": "transport",
    "Gale warning: north-west nine": "weather",
    "Neap tide on 3 December": "weather",
    "Spring tide on Thursday: the causeway floods": "weather",
}
FERRY = {"Ferry to the mainland runs hourly from December", "New crossings: what the Lighthouse writes"}
ITEM = """
    <item>
      <title>Whale off the pier</title>
      <link>https://lighthouse.example/2026/11/whale</link>
      <description>Scientists are on their way.</description>
    </item>
"""


@pytest.fixture
def news(example):
    return example("news")


def told_of(run):
    """The titles of which `notify` told, in the order of the log."""
    return [found[1] for line in run.lines if (found := re.match(r"  (\S.*) \([^()]+\)$", line))]


def read_until_told(run, count):
    while len(told_of(run)) < count:
        run.read_until(")")


def test_what_is_new_is_sorted_stored_and_told_of_once(news, start, bill_of):
    environ = {"NEWS_PORT": str(free_port()), "NEWS_SCHEDULE": "* * * * * *", "PYTHONUTF8": "1"}
    options = ("--port", free_port(), "--log-format", "text", "--set", "retry_base=0.01")
    run = start("run", "news", *options, environ=environ)
    url = re.search(r"http://[\d.]+:\d+", run.read_until("front_page: GET http"))[0]
    read_until_told(run, 12)
    told = told_of(run)
    assert set(told) - FERRY == set(CATEGORIES)
    assert len(FERRY & set(told)) == 1, "one page, of which two feeds tell"
    page = httpx.get(f"{url}/").text
    assert all(f"{title.replace('&', '&amp;')}</a>" in page for title in told)

    lighthouse = news / "feeds" / "lighthouse.rss"
    lighthouse.write_text(lighthouse.read_text("utf-8").replace("  </channel>", f"{ITEM}  </channel>"), "utf-8")
    read_until_told(run, 13)
    assert told_of(run)[12:] == ["Whale off the pier"]
    assert run.end() == 0
    assert len(told_of(run)) == 13

    with closing(sqlite3.connect(news / "data" / "news.db")) as stored:
        categories = dict(stored.execute("SELECT title, category FROM articles"))
        failures = {url.rpartition("/")[2]: count for url, count in stored.execute("SELECT url, failures FROM feeds")}
    assert {title: category for title, category in categories.items() if title in CATEGORIES} == CATEGORIES
    assert len(categories) == 13
    assert failures["withdrawn.rss"] >= 4
    assert all(count == 0 for name, count in failures.items() if name != "withdrawn.rss")
    records = [json.loads(line) for line in (news / "data" / "failed.jsonl").read_text("utf-8").splitlines()]
    assert {record["requestPayload"]["url"].rpartition("/")[2] for record in records} == {"withdrawn.rss"}
    assert {record["requestContext"]["approximateInvokeCount"] for record in records} == {4}
    assert "is no feed" in records[0]["responsePayload"]["errorMessage"]
    assert sum("tides.rss answers 503 Service Unavailable" in line for line in run.lines) >= 2

    bill = bill_of("news")
    assert bill["front_page"][0] == 1
    assert bill["notify"][0] >= 2
    assert bill["fetch"][1] >= 4 + 2, "four attempts at what is no feed, and two at what comes late"
