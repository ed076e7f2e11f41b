"""One field of a cron expression: what may stand in it, and which values it means."""

from __future__ import annotations

import re
from typing import NamedTuple

from fnframe.errors import nearest

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")

_ITEM = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\w*))?", re.ASCII)
_NEAREST = re.compile(r"(\d+)W", re.ASCII)
_LAST = re.compile(r"(\w+)L", re.ASCII)
_NTH = re.compile(r"(\w+)#(\w+)", re.ASCII)


class Field(NamedTuple):
    """The values of a field, and the names that some of them have; the first name is that of `low`.

    `days` tells which of the characters `? L W #` it knows.
    """

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    days: str = ""

    @property
    def top(self) -> int:
        """The last of the values that are different: 7 is Sunday, as 0 is."""
        return 6 if (self.low, self.high) == (0, 7) else self.high

    def __str__(self) -> str:
        named = f" or {self.names[0]} to {self.names[-1]}" if self.names else ""
        return f"{self.low} to {self.high}{named}"


SECOND = Field("second", 0, 59)
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DAY = Field("day of the month", 1, 31, days="?LW")
MONTH = Field("month", 1, 12, MONTHS)
WEEKDAY = Field("day of the week", 0, 7, WEEKDAYS, days="?L#")
WEEKDAY_FROM_1 = Field("day of the week", 1, 7, WEEKDAYS, days="?L#")
YEAR = Field("year", 1970, 2099)


class Values(NamedTuple):
    """What a field means: numbers in their order, or one of the forms that name a day relative to its month.

    `every` is whether it begins with `*` or is `?`: such a field does not restrict, as crontab(5) says it. `special`
    is `"L"`, `"LW"`, `"15W"`, `"5L"` or `"5#2"`.
    """

    numbers: tuple[int, ...]
    every: bool = False
    special: str = ""


def values_of(field: Field, text: str) -> Values:
    """Raises `ValueError` that says what is wrong and what to write."""
    upper = text.upper()
    if upper == "?":
        if "?" not in field.days:
            raise ValueError("'?' stands for a day alone, of the month or of the week; write '*'")
        return Values((), every=True)
    if field.days and (special := _special(field, upper)):
        return special
    numbers: set[int] = set()
    for item in upper.split(","):
        numbers.update(_item(field, item, text))
    return Values(tuple(sorted(numbers)), every=upper.startswith("*"))


def _special(field: Field, text: str) -> Values | None:
    """The forms that name a day relative to its month; None for what is none of them."""
    if "," in text and re.search(r"\d+W|LW|#|\wL", text):
        raise ValueError("a day relative to its month ('W', 'L', '#') stands alone; write a schedule for each")
    if "W" in field.days:
        if text in ("L", "LW"):
            return Values((), special=text)
        if nearest_to := _NEAREST.fullmatch(text):
            return Values((), special=f"{_number(field, nearest_to[1])}W")
        return None
    if text == "L":  # As in EventBridge: the last day of the week.
        return Values((_number(field, "SAT"),))
    if last := _LAST.fullmatch(text):
        return Values((), special=f"{_number(field, last[1])}L")
    if nth := _NTH.fullmatch(text):
        if nth[2] not in "12345":
            raise ValueError(f"'#{nth[2]}' counts weeks of a month: write '#1' to '#5'")
        return Values((), special=f"{_number(field, nth[1])}#{nth[2]}")
    return None


def _item(field: Field, item: str, text: str) -> range:
    found = _ITEM.fullmatch(item)
    if found is None or (found["first"] == "*" and found["last"]):
        what = "an item is empty: is there a comma too many?"
        raise ValueError(f"{item!r} is none of '*', '5', '1-5' and '*/5'" if item else what)
    if found["first"] == "*":
        low, high = field.low, field.top
        if found["step"] is None and item != text:
            raise ValueError("'*' is every value already; leave the others out")
    else:
        low = _number(field, found["first"])
        high = _number(field, found["last"]) if found["last"] else low if found["step"] is None else field.top
    if high < low:
        raise ValueError(f"the range {item!r} goes backwards; write '{_around(field, low, high)}'")
    return range(low, high + 1, _step(field, found["step"], high - low))


def _number(field: Field, text: str) -> int:
    if text in field.names:
        return field.low + field.names.index(text)
    if text.isdecimal() and field.low <= int(text) <= field.high:
        return int(text)
    hint = "" if text.isdecimal() else nearest(text, field.names)
    raise ValueError(f"{text!r} is not {field}{hint}")


def _step(field: Field, text: str | None, span: int) -> int:
    if text is None:
        return 1
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"the step {text!r} is not a number from 1")
    step = int(text)
    if step > span > 0:
        # Such a step is no period: it begins anew in each hour, day or month.
        every = {"minute": f", or 'rate({step} minutes)'", "hour": f", or 'rate({step} hours)'"}.get(field.name, "")
        raise ValueError(f"a step of {step} leaves one value of {span + 1}; write 1 to {span}{every}")
    return step


def _around(field: Field, low: int, high: int) -> str:
    """A range that goes on after the field's end, as two."""
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ((low, field.top), (field.low, high)))
