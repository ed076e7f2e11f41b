"""Price books: those that come with the plugin, one's own, and what is wrong in them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from fnframe_billing.book import BOOKS, Price, find_book, read_book

from fnframe import ConfigurationError

OWN = """
name = "own"
version = "3"
title = "ours"
currency = "EUR"

[[prices]]
meter = "requests"
per = 1000
price = 0.01
free = 10

[[prices]]
meter = "compute"
tiers = [{ price = 2, up_to = 100 }, { price = "1.5" }]
"""


@pytest.fixture
def book(tmp_path):
    def book(text):
        (tmp_path / "own.toml").write_text(text)
        return find_book("own.toml", tmp_path)

    return book


@pytest.mark.parametrize("path", sorted(BOOKS.glob("*.toml")), ids=lambda path: path.stem)
def test_what_comes_with_the_plugin_is_named_and_versioned(path, tmp_path):
    book = find_book(path.stem, tmp_path)
    assert book == read_book(path)
    assert book.name == path.stem
    assert book.version
    assert book.currency == "USD"


def test_prices_are_exact(book):
    prices = book(OWN).price_list()
    assert prices[0] == Price("requests", Decimal("0.01"), per=1000, free=10)
    assert [tier.price for tier in prices[1].steps()] == [Decimal(2), Decimal("1.5")]


def test_a_machine_has_a_price_for_its_cores_and_one_for_its_memory(book):
    text = (
        'name = "m"\nversion = "1"\ntitle = "m"\ncurrency = "EUR"\n[machine]\nper_hour = 0.08\ncores = 2\nmemory_gb = 8'
    )
    cpu, memory = book(text).price_list()
    assert (cpu.meter, cpu.price, cpu.per) == ("cpu", Decimal("0.02"), 3600)
    assert (memory.meter, memory.price, memory.per) == ("memory", Decimal("0.005"), 3600)
    cpu, memory = book(text + "\ncpu_share = 1").price_list()
    assert (cpu.price, memory.price) == (Decimal("0.04"), 0)


def test_an_unknown_book_is_told_with_those_that_are_known(tmp_path):
    with pytest.raises(ConfigurationError, match=r"there is no price book 'lambda-x68', did you mean 'lambda-x86'\?"):
        find_book("lambda-x68", tmp_path)
    with pytest.raises(ConfigurationError, match="known are lambda-arm, lambda-x86, own-machine, and any file"):
        find_book("gold", tmp_path)
    with pytest.raises(ConfigurationError, match=r"missing\.toml: this price book cannot be read"):
        find_book("missing.toml", tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("price = 0.01", "price = -0.01", r"prices\[0\].price must be a number and not negative, found -0.01"),
        ("price = 0.01", "price = nan", r"prices\[0\].price must be a number and not negative, found NaN"),
        ("price = 0.01", "", r"prices\[0\] must have either a price or tiers, found neither"),
        ('price = "1.5"', "price = -1", r"prices\[1\].tiers\[1\].price must be a number and not negative, found -1"),
        ("up_to = 100", "up_to = 0", r"prices\[1\].tiers\[0\].up_to must be more than 0, found 0"),
        ('"1.5" }', '"1.5", up_to = 200 }', r"the last of prices\[1\].tiers must have no up_to"),
        ("per = 1000", "per = 0", r"prices\[0\].per must be at least 1, found 0"),
        ("free = 10", "free = -1", r"prices\[0\].free must not be negative, found -1"),
        ("free = 10", "fre = 10", r"unknown field `fre` - at `\$.prices\[0\]`"),
        ('"requests"', '"request"', "meter must be one of requests, compute, .*, found request"),
        ('"requests"', '"compute"', "the meter 'compute' must have one price, found 2 of them"),
        ('"EUR"', '"euro"', "currency must be a code of ISO 4217 such as 'USD', found euro"),
        ('version = "3"', "", "required field `version`"),
        ("per = 1000", 'per = "1000"', "Expected `int`, got `str`"),
        ("currency", "currency =", "not valid TOML"),
        ("[[prices]]", "[[price]]", "unknown field `price`"),
    ],
)
def test_what_is_wrong_in_a_book_is_told(book, tmp_path, old, new, problem):
    with pytest.raises(ConfigurationError, match=problem) as raised:
        book(OWN.replace(old, new))
    assert raised.value.where == str(tmp_path / "own.toml")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("per_hour = -1\ncores = 2\nmemory_gb = 1", "machine.per_hour must be a number and not negative"),
        ("per_hour = 1\ncores = 0\nmemory_gb = 1", "machine.cores must be more than 0"),
        ("per_hour = 1\ncores = 1\nmemory_gb = -4", "machine.memory_gb must be more than 0"),
        ("per_hour = 1\ncores = 1\nmemory_gb = 4\ncpu_share = 1.1", "machine.cpu_share must lie between 0 and 1"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(book, line, problem):
    with pytest.raises(ConfigurationError, match=problem):
        book(f'name = "m"\nversion = "1"\ntitle = "m"\ncurrency = "EUR"\n[machine]\n{line}')


def test_a_book_without_prices_is_refused(book):
    with pytest.raises(ConfigurationError, match=r"there must be \[\[prices\]\] or a \[machine\], found neither"):
        book('name = "m"\nversion = "1"\ntitle = "m"\ncurrency = "EUR"')
