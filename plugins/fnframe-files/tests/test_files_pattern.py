from __future__ import annotations

import fnmatch

import pytest
from fnframe_files.pattern import Selection
from hypothesis import given
from hypothesis import strategies as st

names = st.text("ab.*-é", min_size=1, max_size=6)
keys = st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


def takes(pattern: str, key: str, ignore: tuple[str, ...] = ()) -> bool:
    *folders, name = key.split("/")
    selection = Selection(pattern, ignore)
    prefix = ""
    for folder in folders:
        if selection.ignores(prefix, folder):
            return False
        prefix += f"{folder}/"
    return selection.takes(prefix, name)


def fits(pattern: list[str], key: list[str]) -> bool:
    """The meaning of a pattern with `/`, spelled out."""
    if not pattern or not key:
        return not pattern and not key
    if pattern[0] == "**":
        rest = pattern[1:] or ["*"]
        return fits(rest, key) or fits(pattern, key[1:])
    return fnmatch.fnmatchcase(key[0], pattern[0]) and fits(pattern[1:], key[1:])


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*", ["a", "a/b.jpg", "a/b/c"], []),
        ("*.jpg", ["a.jpg", "x/y/a.jpg", ".jpg"], ["a.JPG", "a.jpg.txt", "ajpg"]),
        ("photo-[0-9]?.jpg", ["photo-1x.jpg"], ["photo-x1.jpg", "photo-1.jpg"]),
        ("[!a]*", ["b", "a/b"], ["a", "b/a"]),
        ("raw/*.jpg", ["raw/a.jpg"], ["a.jpg", "raw/x/a.jpg", "x/raw/a.jpg"]),
        ("raw/**", ["raw/a", "raw/x/y"], ["raw", "x/raw/a"]),
        ("**/raw/*", ["raw/a", "x/raw/a", "x/y/raw/a"], ["raw", "xraw/a", "raw/x/a"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "ab"]),
        ("*/*", ["a/b"], ["a", "a/b/c"]),
        ("**", ["a", "a/b/c"], []),
        ("a[[]", ["a["], ["a"]),
        ("[]]", ["]"], ["["]),
        ("a.b", ["a.b"], ["axb"]),
    ],
)
def test_which_keys_a_pattern_takes(pattern: str, yes: list[str], no: list[str]) -> None:
    assert [key for key in yes if not takes(pattern, key)] == []
    assert [key for key in no if takes(pattern, key)] == []


def test_a_line_break_is_a_character_like_others() -> None:
    assert takes("a*", "a\nb")
    assert takes("a?b", "a\nb")


@given(st.lists(st.sampled_from(["*", "?", "[ab]", "[!ab]", "[a-c]", "a", "b", ".", "é", "-"]), min_size=1), names)
def test_without_slash_it_agrees_with_fnmatch(parts: list[str], name: str) -> None:
    pattern = "".join(parts)
    assert takes(pattern, name) == fnmatch.fnmatchcase(name, pattern)


folder_patterns = st.lists(st.sampled_from(["*", "?", "a", "b", "[a.]"]), min_size=1, max_size=4).map("".join)
folder_patterns = folder_patterns.filter(lambda text: "**" not in text)


@given(st.lists(st.just("**") | folder_patterns, min_size=2, max_size=6), keys)
def test_with_slash_it_means_what_is_spelled_out(pattern: list[str], key: str) -> None:
    assert takes("/".join(pattern), key) == fits(pattern, key.split("/"))


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("*a*a*a*a*a*a*a*a*a*b", "a" * 255),
        ("*" + "?*" * 20 + "b", "a" * 255),
        ("**/" + "a/**/" * 8 + "b", "a/" * 1000 + "c"),
        ("**/" + "*a*/**/" * 8 + "b", "aaa/" * 1000 + "c"),
    ],
)
def test_no_name_takes_long_to_match(pattern: str, key: str) -> None:
    """Who may write to a folder chooses the names: tried in all ways, these would take until the end of days."""
    prefix, _, name = key.rpartition("/")
    assert not Selection(pattern, (pattern,)).takes(f"{prefix}/" if prefix else "", name)


@given(keys)
def test_each_key_is_taken_by_itself_and_by_what_is_more_general(key: str) -> None:
    *folders, name = key.split("/")
    assert takes("/".join([*folders, name]), key)
    assert takes("/".join([*("*" for _ in folders), name]), key)
    assert takes(f"**/{name}", key)
    assert takes("**", key)


@given(keys, keys)
def test_a_pattern_without_wildcards_takes_nothing_else(pattern: str, key: str) -> None:
    assert takes(pattern, key) == (key == pattern if "/" in pattern else key.split("/")[-1] == pattern)


@pytest.mark.parametrize("key", [".git/config", "a/.git/x/y", "a.part", "x/~$a.doc", "cache.tmp/a"])
def test_what_is_ignored_is_ignored_with_all_below(key: str) -> None:
    assert not takes("*", key, (".*", "*.part", "~$*", "*.tmp"))


def test_an_ignored_pattern_with_slash_is_for_the_whole_key() -> None:
    assert not takes("*", "raw/old/a.jpg", ("raw/old",))
    assert takes("*", "x/raw/old/a.jpg", ("raw/old",))
