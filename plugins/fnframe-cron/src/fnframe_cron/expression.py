"""What stands in `Cron("*/5 * * * *")`: 5 or 6 fields, or `cron(...)`, `rate(...)` and `at(...)` of EventBridge.

Checked here to the last character, so that an error is told where the user wrote it; croniter, which counts the times,
is imported only where something runs.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from functools import lru_cache

import msgspec

from fnframe import ConfigurationError

from .field import DAY, HOUR, MINUTE, MONTH, SECOND, WEEKDAY, WEEKDAY_FROM_1, YEAR, Field, Values, values_of

EVENTBRIDGE = (MINUTE, HOUR, DAY, MONTH, WEEKDAY_FROM_1, YEAR)
FIELDS = {5: (MINUTE, HOUR, DAY, MONTH, WEEKDAY), 6: (SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY)}
DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
UNITS = {"minute": 60, "hour": 3600, "day": 86_400}

_CALL = re.compile(r"(\w+)\((.*)\)", re.ASCII)
_RATE = re.compile(r"(\d{1,5}) ([a-z]+)", re.ASCII)
_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


class Calendar(msgspec.Struct, frozen=True):
    """Times of a calendar: the fields as croniter has them, numbers alone.

    `either` is whether a day that one of its two fields means is enough; `last_weekday` asks for the last of Monday to
    Friday before or on each day; `every_hour` and `seconds` are what the rules for time zones and steps need to know.
    """

    fields: str
    either: bool
    every_hour: bool
    seconds: bool
    last_weekday: bool


class Rate(msgspec.Struct, frozen=True):
    """A period in seconds, counted from the epoch, so that all processes agree."""

    seconds: int


class Once(msgspec.Struct, frozen=True):
    """One time of day, in the schedule's zone: seconds since the epoch as the clock on the wall counts them."""

    wall: int


Expression = Calendar | Rate | Once


@lru_cache(maxsize=10_000)
def parse(text: str) -> Expression:
    """Raises `ConfigurationError` that names the field, what was found in it and what to write."""
    if text.startswith("@"):
        return parse(_nickname(text))
    call = _CALL.fullmatch(text)
    if call is not None and call[1] in _FORMS:
        return _FORMS[call[1]](text, call[2])
    if "(" in text or ")" in text:
        raise ConfigurationError(
            f"Cron: {text!r} is none of 'cron(0 12 * * ? *)', 'rate(5 minutes)' and 'at(2027-01-31T09:00:00)', in "
            "lower case and without anything around it"
        )
    words = text.split()
    if len(words) not in FIELDS:
        hint = "; a year needs EventBridge's form: 'cron(0 12 * * ? 2027)'" if len(words) == 7 else ""
        raise ConfigurationError(
            f"Cron: {text!r} has {len(words)} fields, expected 5 (minute, hour, day of the month, month, day of the "
            f"week) or 6 (the second before them){hint}"
        )
    return _calendar(text, FIELDS[len(words)], words)


def _nickname(text: str) -> str:
    if text in NICKNAMES:
        return NICKNAMES[text]
    hint = "; write 'rate(5 minutes)' for a period" if text.startswith("@every") else ""
    raise ConfigurationError(f"Cron: {text!r} is none of {', '.join(NICKNAMES)}{hint}")


def _eventbridge(text: str, inside: str) -> Calendar:
    words = inside.split()
    if len(words) != len(EVENTBRIDGE):
        raise ConfigurationError(
            f"Cron: {text!r} has {len(words)} fields, expected 6: minute, hour, day of the month, month, day of the "
            "week and year, as in 'cron(0 12 * * ? *)'"
        )
    if (words[2] == "?") == (words[4] == "?"):
        raise ConfigurationError(
            f"Cron: in {text!r} exactly one of the day of the month ({words[2]!r}) and the day of the week "
            f"({words[4]!r}) must be '?': the one that does not choose the day"
        )
    return _calendar(text, EVENTBRIDGE, words)


def _rate(text: str, inside: str) -> Rate:
    found = _RATE.fullmatch(inside)
    unit = found[2].removesuffix("s") if found else ""
    if found is None or unit not in UNITS or int(found[1]) < 1:
        hint = "; for seconds write '*/10 * * * * *'" if unit.startswith("sec") else ""
        raise ConfigurationError(
            f"Cron: {text!r} is no rate: write 'rate(5 minutes)', with a number from 1 to 99,999 and minutes, hours or "
            f"days{hint}"
        )
    right = unit if int(found[1]) == 1 else f"{unit}s"
    if found[2] != right:
        raise ConfigurationError(f"Cron: {text!r}: write 'rate({found[1]} {right})'")
    return Rate(int(found[1]) * UNITS[unit])


def _at(text: str, inside: str) -> Once:
    try:
        moment = dt.datetime.fromisoformat(inside if _AT.fullmatch(inside) else "")
    except ValueError:
        moment = dt.datetime.min
    if not YEAR.low <= moment.year <= YEAR.high:
        raise ConfigurationError(
            f"Cron: {text!r} names no moment from 1970 to 2099: write 'at(2027-01-31T09:00:00)', and the time zone in "
            "tz="
        )
    return Once(int(moment.replace(tzinfo=dt.UTC).timestamp()))


_FORMS: dict[str, Callable[[str, str], Expression]] = {"cron": _eventbridge, "rate": _rate, "at": _at}


def _calendar(text: str, fields: tuple[Field, ...], words: list[str]) -> Calendar:
    found: dict[str, Values] = {}
    for field, word in zip(fields, words, strict=True):
        try:
            found[field.name] = values_of(field, word)
        except ValueError as error:
            raise ConfigurationError(f"Cron: the {field.name} in {text!r} is {word!r}: {error}") from None
    day, weekday, month = found["day of the month"], found["day of the week"], found["month"]
    if (day.special not in ("", "L") or weekday.special) and not (day.every or weekday.every):
        raise ConfigurationError(
            f"Cron: {text!r} names a day relative to its month ('W', 'L' or '#') and chooses days by its other field "
            "too; write '?' there"
        )
    _check_days(text, day, weekday, month)
    columns = [
        _numbers(found["minute"], MINUTE),
        _numbers(found["hour"], HOUR),
        _day(day),
        _numbers(month, MONTH),
        _weekday(weekday, 1 if fields is EVENTBRIDGE else 0),
    ]
    if "second" in found:
        columns.append(_numbers(found["second"], SECOND))
    elif "year" in found and len(found["year"].numbers) < len(range(YEAR.low, YEAR.high + 1)):
        columns += ["0", _numbers(found["year"], YEAR)]
    return Calendar(
        " ".join(columns),
        either=not day.every and not weekday.every,
        every_hour=found["hour"].every or len(found["hour"].numbers) == 24,
        seconds="second" in found,
        last_weekday=day.special == "LW",
    )


def _check_days(text: str, day: Values, weekday: Values, month: Values) -> None:
    """A day that none of the months has would never come."""
    if day.numbers and (day.every or weekday.every):
        longest = max(DAYS[number - 1] for number in month.numbers)
        if day.numbers[0] > longest:
            raise ConfigurationError(
                f"Cron: {text!r} never comes: its months have {longest} days at the most, and its first day is "
                f"{day.numbers[0]}; write 'L' for the last day of a month"
            )


def _numbers(values: Values, field: Field) -> str:
    everything = len(values.numbers) == field.high - field.low + 1
    return "*" if everything else ",".join(map(str, values.numbers))


def _day(values: Values) -> str:
    if values.special:
        return values.special.replace("LW", "L").lower()
    return "*" if values.every and len(values.numbers) in (0, 31) else ",".join(map(str, values.numbers))


def _weekday(values: Values, sunday: int) -> str:
    """croniter counts from 0, EventBridge from 1."""
    if values.special.endswith("L"):
        return f"l{(int(values.special[:-1]) - sunday) % 7}"
    if values.special:
        day, _, week = values.special.partition("#")
        return f"{(int(day) - sunday) % 7}#{week}"
    numbers = sorted({(number - sunday) % 7 for number in values.numbers})
    return "*" if values.every and len(numbers) in (0, 7) else ",".join(map(str, numbers))
