"""What may stand in a schedule, and what is told of what may not."""

from __future__ import annotations

import pytest
from fnframe_cron.expression import Calendar, Once, Rate, parse

from fnframe import ConfigurationError

EVENTBRIDGE = [
    "cron(0 2 ? * SAT *)",
    "cron(0 12 * * ? *)",
    "cron(5,35 14 * * ? *)",
    "cron(15 10 ? * 6L 2002-2005)",
    "cron(0 2 ? * SAT#3 *)",
    "cron(* * ? * SAT#3 *)",
    "cron(0/5 5 ? JAN 1-5 2022)",
    "cron(0 10 * * ? *)",
    "cron(15 12 * * ? *)",
    "cron(0 18 ? * MON-FRI *)",
    "cron(0 8 1 * ? *)",
    "cron(0/15 * * * ? *)",
    "cron(0/10 * ? * MON-FRI *)",
    "cron(0/5 8-17 ? * MON-FRI *)",
    "cron(0/30 20-23 ? * MON-FRI *)",
    "cron(0/30 0-2 ? * MON-FRI *)",
    "rate(1 minute)",
    "rate(5 minutes)",
    "rate(1 hour)",
    "rate(10 hours)",
    "rate(1 day)",
    "rate(7 days)",
    "at(2027-01-31T09:00:00)",
]

NOT_EVENTBRIDGE = [
    "cron(0 1 * * * *)",
    "cron(0 1 ? * ? *)",
    "cron(7 20 * * NOT *)",
    "cron(INVALID)",
    "cron(0 dummy ? * MON-FRI *)",
    "cron(71 8 1 * ? *)",
    "cron(0 12 * * ?)",
    "cron(0 12 * * ? * *)",
    "cron(0 12 ? * 0 *)",
    "cron(0 12 ? * 8 *)",
    "cron(0 12 ? * 6#6 *)",
    "cron(0 12 ? * 3#1,5#2 *)",
    "cron(0 12 * * ? 1969)",
    "CRON(0 12 * * ? *)",
    " cron(0 12 * * ? *)",
    "rate(10 seconds)",
    "rate(10 years)",
    "rate(1 minutes)",
    "rate(1 hours)",
    "rate(1 days)",
    "rate(10 minute)",
    "rate(10 hour)",
    "rate(10 day)",
    "rate()",
    "rate(10)",
    "rate(10 minutess)",
    "rate(foo minutes)",
    "rate(0 minutes)",
    "rate(-10 minutes)",
    "rate(10 MINUTES)",
    "rate( 10 minutes )",
    " rate(10 minutes)",
    "rate(10  minutes)",
    "at(2027-01-31)",
    "at(2027-02-30T09:00:00)",
    "at(2027-01-31T09:00:00Z)",
    "at(2027-01-31 09:00:00)",
    "at(2027-01-31T9:00:00)",
]


@pytest.mark.parametrize("text", EVENTBRIDGE)
def test_eventbridge_accepts_it_and_so_do_we(text):
    parse(text)


@pytest.mark.parametrize("text", NOT_EVENTBRIDGE)
def test_eventbridge_refuses_it_and_so_do_we(text):
    with pytest.raises(ConfigurationError, match=r"^Cron: "):
        parse(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "@midnight"),
        ("@weekly", "0 0 * * SUN"),
        ("@yearly", "0 0 1 jan *"),
        ("  0   9 * * mon-fri ", "0 9 * * 1-5"),
        ("0 9 * * MON-FRI", "cron(0 9 ? * 2-6 *)"),
        ("0 9 * * 5-7", "0 9 * * 0,5,6"),
        ("0 9 * * 7", "0 9 * * 0"),
        ("0 9 ? * 1/2", "cron(0 9 ? * MON,WED,FRI *)"),
        ("*/15 * * * *", "cron(0/15 * * * ? *)"),
        ("5-20/5 * * * *", "5,10,15,20 * * * *"),
        ("0 0 * * 5L", "cron(0 0 ? * FRIL *)"),
        ("0 0 * * 5L", "cron(0 0 ? * 6L *)"),
        ("0 0 * * sat#2", "cron(0 0 ? * 7#2 *)"),
        ("0 0 L * *", "cron(0 0 L * ? *)"),
        ("0 0 LW * *", "cron(0 0 LW * ? *)"),
        ("0 0 15w * *", "cron(0 0 15W * ? *)"),
        ("0 0 ? * *", "0 0 * * ?"),
        ("0 0 * * SAT", "cron(0 0 ? * L *)"),
        ("0 0 1 1 *", "cron(0 0 1 1 ? 1970-2099)"),
        ("0 0-23 * * *", "0 * * * *"),
    ],
)
def test_two_ways_to_say_the_same(text, same):
    assert parse(text) == parse(same)


def test_what_is_made_of_it():
    assert parse("rate(5 minutes)") == Rate(300)
    assert parse("rate(1 day)") == Rate(86_400)
    assert parse("at(1970-01-02T00:00:01)") == Once(86_401)
    assert parse("0 9 13 * 5") == Calendar(
        "0 9 13 * 5", either=True, every_hour=False, seconds=False, last_weekday=False
    )
    assert parse("*/20 0 */2 * * *").seconds
    assert parse("0 */2 * * *").every_hour


@pytest.mark.parametrize("text", ["0 0 */2 * 1", "0 0 1 * */2", "0 0 * * 1", "0 0 1 * *"])
def test_a_field_that_begins_with_a_star_restricts_no_day_by_itself(text):
    assert not parse(text).either


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0 25 * * *", "the hour in '0 25 * * *' is '25': '25' is not 0 to 23"),
        ("60 * * * *", "the minute in '60 * * * *' is '60': '60' is not 0 to 59"),
        ("0 0 0 * *", "the day of the month in '0 0 0 * *' is '0': '0' is not 1 to 31"),
        ("0 0 * 13 *", "the month in '0 0 * 13 *' is '13': '13' is not 1 to 12 or JAN to DEC"),
        ("0 0 * JUNE *", "'JUNE' is not 1 to 12 or JAN to DEC, did you mean 'JUN'?"),
        ("0 0 * * 8", "the day of the week in '0 0 * * 8' is '8': '8' is not 0 to 7 or SUN to SAT"),
        ("0 0 * * FRIDAY", "did you mean 'FRI'?"),
        ("0 9-25 * * *", "the hour in '0 9-25 * * *' is '9-25': '25' is not 0 to 23"),
        ("*/90 * * * *", "a step of 90 leaves one value of 60; write 1 to 59, or 'rate(90 minutes)'"),
        ("0 */36 * * *", "a step of 36 leaves one value of 24; write 1 to 23, or 'rate(36 hours)'"),
        ("10-20/30 * * * *", "a step of 30 leaves one value of 11; write 1 to 10"),
        ("*/0 * * * *", "the step '0' is not a number from 1"),
        ("*/x * * * *", "the step 'X' is not a number from 1"),
        ("*/ * * * *", "the step '' is not a number from 1"),
        ("0 22-2 * * *", "the range '22-2' goes backwards; write '22-23,0-2'"),
        ("0 0 * * FRI-MON", "the range 'FRI-MON' goes backwards; write '5-6,0-1'"),
        ("0 0 * * 6-0", "the range '6-0' goes backwards; write '6,0'"),
        ("cron(0 0 ? * 6-2 *)", "the range '6-2' goes backwards; write '6-7,1-2'"),
        ("1,,2 * * * *", "an item is empty: is there a comma too many?"),
        ("*,5 * * * *", "'*' is every value already; leave the others out"),
        ("5-* * * * *", "'5-*' is none of '*', '5', '1-5' and '*/5'"),
        ("*-5 * * * *", "'*-5' is none of"),
        ("-5 * * * *", "'-5' is none of"),
        ("H * * * *", "'H' is not 0 to 59"),
        ("? * * * *", "'?' stands for a day alone, of the month or of the week; write '*'"),
        ("0 L * * *", "'L' is not 0 to 23"),
        ("0 0 32W * *", "'32' is not 1 to 31"),
        ("0 0 W * *", "'W' is not 1 to 31"),
        ("0 0 1W,15W * *", "a day relative to its month ('W', 'L', '#') stands alone"),
        ("0 0 * * 5#0", "'#0' counts weeks of a month: write '#1' to '#5'"),
        ("0 0 15W * 1", "names a day relative to its month ('W', 'L' or '#') and chooses days by its other field too"),
        ("0 0 15 * 1#2", "write '?' there"),
        ("0 0 31 2,4 *", "its months have 30 days at the most, and its first day is 31; write 'L' for the last day"),
        ("0 0 30 FEB *", "never comes: its months have 29 days"),
        ("* * * *", "has 4 fields, expected 5 (minute, hour, day of the month, month, day of the week) or 6 (the"),
        ("", "has 0 fields"),
        ("0 0 0 * * * 2027", "has 7 fields, expected 5"),
        ("0 0 0 * * * 2027", "'cron(0 12 * * ? 2027)'"),
        ("*/5 * * * * 30", "the day of the week in '*/5 * * * * 30' is '30'"),
        ("@reboot", "'@reboot' is none of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"),
        ("@every 5m", "write 'rate(5 minutes)' for a period"),
        ("rate(1 minutes)", "write 'rate(1 minute)'"),
        ("rate(5 minute)", "write 'rate(5 minutes)'"),
        ("rate(10 seconds)", "for seconds write '*/10 * * * * *'"),
        ("cron(0 12 * * * *)", "exactly one of the day of the month ('*') and the day of the week ('*') must be '?'"),
        ("cron(0 12 * * ? 2150)", "the year in 'cron(0 12 * * ? 2150)' is '2150': '2150' is not 1970 to 2099"),
        ("at(tomorrow)", "names no moment from 1970 to 2099: write 'at(2027-01-31T09:00:00)', and the time zone"),
        ("at(2100-01-01T00:00:00)", "names no moment from 1970 to 2099"),
        ("at(0001-01-01T00:00:00)", "names no moment from 1970 to 2099"),
        ("rate(100000 days)", "with a number from 1 to 99,999 and minutes, hours or days"),
        (f"rate({'9' * 5000} days)", "is no rate"),
        (f"{'9' * 5000} * * * *", "the minute in"),
        ("cronn(0 12 * * ? *)", "is none of 'cron(0 12 * * ? *)', 'rate(5 minutes)' and 'at(2027-01-31T09:00:00)'"),
        ("\u0665 * * * *", "is none of"),
    ],
)
def test_an_error_says_which_field_what_was_found_and_what_to_write(text, problem):
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert problem in str(caught.value)
    assert str(caught.value).startswith("Cron: ")
