"""Destinations as they are written, and as they may be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fnframe.destination import check_destination, is_url, masked


@pytest.mark.parametrize(
    ("destination", "shown"),
    [
        ("function:bill", "function:bill"),
        ("file:/var/log/failed.jsonl", "file:/var/log/failed.jsonl"),
        ("file:a://b", "file:a://b"),
        ("https://example.com", "https://example.com"),
        ("https://example.com/", "https://example.com/..."),
        ("https://me:secret@example.com:8443/T0/B0?token=x", "https://example.com:8443/..."),
        ("https://me:sec@ret@example.com", "https://example.com/..."),
        ("http://[::1]:80/x", "http://[::1]:80/..."),
        ("HTTPS://me@example.com", "HTTPS://example.com/..."),
        ("https://me:sec/ret@example.com", "https://..."),
        ("https://", "https://..."),
        ("redis://:secret@host:6379/0", "redis://host:6379/..."),
    ],
)
def test_of_a_url_the_host_is_shown(destination, shown):
    assert masked(destination) == shown


SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=10).map(
    lambda s: f"s3cr3t{s}"
)
SAFE = st.sampled_from(["", "a", "a.b", "a/b"])


@given(st.sampled_from(["https", "http", "HTTP", "ftp"]), SECRETS, SAFE, SECRETS, SECRETS)
def test_no_secret_is_ever_shown(scheme, password, path, in_path, in_query):
    url = f"{scheme}://me:{password}@host/{path}{in_path}?k={in_query}"
    assert "s3cr3t" not in masked(url)
    problem = ""
    try:
        check_destination(url)
    except ValueError as error:
        problem = str(error)
    assert "s3cr3t" not in problem
    assert problem or is_url(url)


@pytest.mark.parametrize(
    "destination",
    [
        "function:f", "queue:orders", "queue:a b", "stream:clicks", "file:x", "http://localhost:8000/hook?x=1",
        "https://user:pass@example.com/a", "https://[2001:db8::1]/",
    ],
)  # fmt: skip
def test_what_is_a_destination(destination):
    check_destination(destination)
