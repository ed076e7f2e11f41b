"""What EventBridge and Lambda were seen to answer: which events fit, and with which words a pattern is refused."""

from __future__ import annotations

import pytest

from fnframe.filter.patterns import InvalidPattern, compile_patterns
from fnframe.filter.texts import TOO_COMPLEX

from .literal import fits

FIT = [
    # A text, a number, a constant.
    ({"a": ["x"]}, {"a": "x"}, True),
    ({"a": ["x"]}, {"a": "X"}, False),
    ({"a": [""]}, {"a": ""}, True),
    ({"a": [300]}, {"a": 300.0}, True),
    ({"a": [300]}, {"a": "300"}, False),
    ({"a": ["300"]}, {"a": 300}, False),
    ({"a": [True]}, {"a": True}, True),
    ({"a": [True]}, {"a": False}, False),
    ({"a": [True]}, {"a": 1}, False),
    ({"a": [1]}, {"a": True}, False),
    ({"a": [None]}, {"a": None}, True),
    ({"a": [None]}, {"a": "null"}, False),
    ({"a": [None]}, {"a": []}, False),
    ({"a": [None]}, {}, False),
    ({"A": ["x"]}, {"a": "x"}, False),
    # Texts.
    ({"a": [{"prefix": "us-"}]}, {"a": "us-east-2"}, True),
    ({"a": [{"prefix": "us-"}]}, {"a": "eu-west-1"}, False),
    ({"a": [{"prefix": ""}]}, {"a": "any"}, True),
    ({"a": [{"prefix": ""}]}, {"a": 5}, False),
    ({"a": [{"prefix": {"equals-ignore-case": "EC2"}}]}, {"a": "ec2-x"}, True),
    ({"a": [{"suffix": ".png"}]}, {"a": "b.png"}, True),
    ({"a": [{"suffix": ".png"}]}, {"a": "b.PNG"}, False),
    ({"a": [{"suffix": ""}]}, {"a": "any"}, True),
    ({"a": [{"suffix": {"equals-ignore-case": ".png"}}]}, {"a": "b.PNG"}, True),
    ({"a": [{"suffix": {"equals-ignore-case": ".png"}}]}, {"a": "b.jpg"}, False),
    ({"a": [{"equals-ignore-case": "alice"}]}, {"a": "ALICE"}, True),
    ({"a": [{"equals-ignore-case": "alice"}]}, {"a": "bob"}, False),
    ({"a": [{"equals-ignore-case": ""}]}, {"a": ""}, True),
    ({"a": [{"equals-ignore-case": ""}]}, {"a": "x"}, False),
    ({"a": [{"wildcard": "dir/*.png"}]}, {"a": "dir/sub/b.png"}, True),
    ({"a": [{"wildcard": "dir/*.png"}]}, {"a": "dir/sub/b.jpg"}, False),
    ({"a": [{"wildcard": "arn:*:event-bus/*"}]}, {"a": "arn:aws:events:us-east-1:1:event-bus/main"}, True),
    ({"a": [{"wildcard": "*a/b*"}]}, {"a": "xa/by"}, True),
    ({"a": [{"wildcard": ""}]}, {"a": "x"}, False),
    ({"a": [{"wildcard": "a\\*b\\\\*"}]}, {"a": "a*b\\c"}, True),
    ({"a": [{"wildcard": "a\\*b"}]}, {"a": "axb"}, False),
    # anything-but.
    ({"a": [{"anything-but": "x"}]}, {"a": "y"}, True),
    ({"a": [{"anything-but": "x"}]}, {"a": "x"}, False),
    ({"a": [{"anything-but": "x"}]}, {"a": None}, True),
    ({"a": [{"anything-but": "x"}]}, {}, False),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "y"}, False),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": 5}, True),
    ({"a": [{"anything-but": 0}]}, {"a": 789}, True),
    ({"a": [{"anything-but": 123}]}, {"a": 123.0}, False),
    ({"a": [{"anything-but": [100, 200]}]}, {"a": "100"}, True),
    ({"a": [{"anything-but": {"prefix": "init"}}]}, {"a": "initial"}, False),
    ({"a": [{"anything-but": {"prefix": "init"}}]}, {"a": 12}, True),
    ({"a": [{"anything-but": {"prefix": ["init", "test"]}}]}, {"a": "testing"}, False),
    ({"a": [{"anything-but": {"prefix": ["init", "test"]}}]}, {"a": None}, True),
    ({"a": [{"anything-but": {"suffix": ".txt"}}]}, {"a": "b.txt"}, False),
    ({"a": [{"anything-but": {"suffix": [".txt", ".rtf"]}}]}, {"a": "b.pdf"}, True),
    ({"a": [{"anything-but": {"equals-ignore-case": "Stopped"}}]}, {"a": "stopped"}, False),
    ({"a": [{"anything-but": {"equals-ignore-case": ["Stopped", "Over"]}}]}, {"a": "OVER"}, False),
    ({"a": [{"anything-but": {"wildcard": "*/init/*"}}]}, {"a": "dir/init/file"}, False),
    ({"a": [{"anything-but": {"wildcard": ["*/init/*", "*/dir/*"]}}]}, {"a": "dir/post/dir"}, True),
    ({"a": [{"anything-but": {"wildcard": ""}}]}, {"a": "dir/init/file"}, True),
    ({"a": [{"anything-but": {"wildcard": "x*"}}]}, {"a": 123}, True),
    # Numbers.
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 5}, True),
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 0}, False),
    ({"a": [{"numeric": ["=", 3.018e2]}]}, {"a": 301.8}, True),
    ({"a": [{"numeric": ["=", 300]}]}, {"a": 300.0}, True),
    ({"a": [{"numeric": ["=", 300]}]}, {"a": "300"}, False),
    ({"a": [{"numeric": ["<", 10]}]}, {"a": None}, False),
    # Addresses.
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.0.255"}, True),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.1.255"}, False),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "xx.11.xx"}, False),
    ({"a": [{"cidr": "2001:db8:1234:1a00::/64"}]}, {"a": "2001:0db8:1234:1a00:0000:0000:0000:0001"}, True),
    ({"a": [{"cidr": "2001:db8:1234:1a00::/64"}]}, {"a": "2001:db8:1234:1a01::1"}, False),
    # Whether there is anything.
    ({"a": [{"exists": True}]}, {"a": None}, True),
    ({"a": [{"exists": True}]}, {"a": []}, False),
    ({"a": [{"exists": True}]}, {"a": {"b": 1}}, False),
    ({"a": [{"exists": False}]}, {"a": {"b": 1}}, True),
    ({"a": {"b": [{"exists": False}]}}, {"a": {"c": 1}}, True),
    ({"a": {"b": [{"anything-but": ["roses"]}, {"exists": False}]}}, {"x": 1}, True),
    ({"a": {"b": [{"anything-but": ["roses"]}, {"exists": False}]}}, {"a": {"b": "roses"}}, False),
    ({"a": [{"numeric": [">", 100]}, {"anything-but": "101"}]}, {"a": "42"}, True),
    ({"a": [{"numeric": [">", 100]}, {"anything-but": "101"}]}, {"a": "101"}, False),
    # Arrays.
    ({"a": ["x", "y"]}, {"a": ["z", "y"]}, True),
    ({"a": ["x", "y"]}, {"a": ["z"]}, False),
    ({"a": {"id": [{"exists": True}]}}, {"a": [{"k": 1}, {"id": 2}, {"k": 3}]}, True),
    ({"a": {"k": [1], "id": [2]}}, {"a": [{"k": 1}, {"id": 2}]}, False),
    ({"a": {"k": [1], "id": [2]}}, {"a": [{"k": 1}, {"k": 1, "id": 2}]}, True),
    # Dots and $or.
    ({"a": {"b": ["x"]}}, {"a.b": "x"}, True),
    ({"a.b": ["x"]}, {"a": {"b": "x"}}, True),
    ({"a": {"b.c": {"c": ["x"]}}}, {"a": {"b": {"c": "x"}}}, False),
    ({"s": ["x"], "$or": [{"a": [{"numeric": [">", 0]}]}, {"b": {"c": ["y"]}}]}, {"s": "x", "b": {"c": "y"}}, True),
    ({"s": ["x"], "$or": [{"a": [{"numeric": [">", 0]}]}, {"b": {"c": ["y"]}}]}, {"s": "x", "a": 0}, False),
    ({"a": ["x"], "b": ["y"]}, {"a": "x", "b": "z"}, False),
    ({"a": {"b": {"c": ["x"]}}}, {"a": {"b": '{"c": "x"}'}}, False),
]

REFUSED = [
    ({"a": "x"}, '"a" must be an object or an array'),
    ({"a": 42}, '"a" must be an object or an array'),
    ({"a": None}, '"a" must be an object or an array'),
    ({"a": []}, "Empty arrays are not allowed"),
    ({"a": {}}, "Empty objects are not allowed"),
    ({}, "Empty objects are not allowed"),
    (["not", "a", "dict"], "Filter is not an object"),
    ({"a": [["x"]]}, "Match value must be String, number, true, false, or null"),
    ({"a": [{}]}, "Match expression name not found"),
    ({"a": [{"EXISTS": True}]}, "Unrecognized match type EXISTS"),
    ({"a": [{"NUMERIC": ["=", 5]}]}, "Unrecognized match type NUMERIC"),
    ({"a": [{"exists": "yes"}]}, "exists match pattern must be either true or false."),
    ({"a": [{"prefix": "x", "suffix": "y"}]}, "Only one key allowed in match expression"),
    ({"a": [{"prefix": 5}]}, "prefix match pattern must be a string"),
    ({"a": [{"prefix": ["x"]}]}, "prefix match pattern must be a string"),
    ({"a": [{"suffix": 5}]}, "suffix match pattern must be a string"),
    ({"a": [{"suffix": ["x"]}]}, "suffix match pattern must be a string"),
    ({"a": [{"prefix": {"suffix": "x"}}]}, "Unsupported prefix pattern: suffix"),
    ({"a": [{"prefix": {"equals-ignore-case": 5}}]}, "equals-ignore-case match pattern must be a string"),
    ({"a": [{"equals-ignore-case": 5}]}, "equals-ignore-case match pattern must be a string"),
    ({"a": [{"equals-ignore-case": ["x"]}]}, "equals-ignore-case match pattern must be a string"),
    ({"a": [{"wildcard": 5}]}, "wildcard match pattern must be a string"),
    ({"a": [{"wildcard": ["x"]}]}, "wildcard match pattern must be a string"),
    ({"a": [{"wildcard": "arn:aws:events:us-east-1:**:x"}]}, "Consecutive wildcard characters at pos 26"),
    ({"a": [{"wildcard": "ä**"}]}, "Consecutive wildcard characters at pos 3"),
    ({"a": [{"wildcard": "a\\b"}]}, "Invalid escape character at pos 2"),
    ({"a": [{"wildcard": "a\\"}]}, "Invalid escape character at pos 2"),
    (
        {"a": [{"wildcard": "*:*:*:*:*:event-bus/*"}]},
        TOO_COMPLEX,
    ),
    ({"a": [{"anything-but": None}]}, "Value of anything-but must be an array or single string/number value."),
    ({"a": [{"anything-but": ["x", None]}]}, "Inside anything but list, start|null|boolean is not supported."),
    (
        {"a": [{"anything-but": ["x", 5]}]},
        "Inside anything but list, either all values are number or string, mixed type is not supported",
    ),
    ({"a": [{"anything-but": {"numeric": [">", 5]}}]}, "Unsupported anything-but pattern: numeric"),
    (
        {"a": [{"anything-but": {"prefix": {"equals-ignore-case": "x"}}}]},
        "Value of anything-but must be an array or single string/number value.",
    ),
    ({"a": [{"anything-but": {"prefix": 5}}]}, "prefix/suffix match pattern must be a string"),
    ({"a": [{"anything-but": {"prefix": ["x", 5]}}]}, "prefix/suffix match pattern must be a string"),
    ({"a": [{"anything-but": {"suffix": [None]}}]}, "prefix/suffix match pattern must be a string"),
    ({"a": [{"anything-but": {"prefix": ""}}]}, "Null prefix/suffix not allowed"),
    ({"a": [{"anything-but": {"suffix": ""}}]}, "Null prefix/suffix not allowed"),
    ({"a": [{"anything-but": {"wildcard": 5}}]}, "wildcard match pattern must be a string"),
    ({"a": [{"anything-but": {"wildcard": ["x", 5]}}]}, "wildcard match pattern must be a string"),
    *(
        (
            {"a": [{"anything-but": {"equals-ignore-case": operand}}]},
            "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.",
        )
        for operand in (5, ["x", 5])
    ),
    ({"a": [{"numeric": 5}]}, "Value of numeric must be an array."),
    ({"a": [{"numeric": []}]}, "Invalid member in numeric match: ]"),
    ({"a": [{"numeric": [5]}]}, "Invalid member in numeric match: 5"),
    ({"a": [{"numeric": ["<", "100"]}]}, "Value of < must be numeric"),
    ({"a": [{"numeric": ["=", True]}]}, "Value of equals must be numeric"),
    ({"a": [{"numeric": [">", 0, ">", 0]}]}, "Bad numeric range operator: >"),
    ({"a": [{"numeric": [">", 0, 5]}]}, "Bad value in numeric range: 5"),
    ({"a": [{"numeric": [">", 5, "<", 5]}]}, "Bottom must be less than top"),
    ({"a": [{"numeric": [">", 0, "<", 5, "<", 6]}]}, "Too many terms in numeric range expression"),
    ({"a": [{"numeric": ["<", 5, ">", 0]}]}, "Too many elements in numeric expression"),
    ({"a": [{"numeric": ["!=", 5]}]}, "Unrecognized numeric range operator: !="),
    ({"a": [{"numeric": ["<", 2**53 + 1]}]}, "Cannot compare number : 9007199254740993"),
    ({"a": [{"cidr": 5}]}, "prefix match pattern must be a string"),
    ({"a": [{"cidr": "10.0.0.0"}]}, "Malformed CIDR, one '/' required"),
    ({"a": [{"cidr": "10.0.0.0/8/8"}]}, "Malformed CIDR, one '/' required"),
    ({"a": [{"cidr": "10.0.0.0/xx"}]}, "Malformed CIDR, mask bits must be an integer"),
    ({"a": [{"cidr": "10.0.0.0/-1"}]}, "Malformed CIDR, mask bits must not be negative"),
    ({"a": [{"cidr": "10.0.0.0/32"}]}, "IPv4 mask bits must be < 32"),
    ({"a": [{"cidr": "::/128"}]}, "IPv6 mask bits must be < 128"),
    ({"a": [{"cidr": "xx.11.xx/8"}]}, "Nonstandard IP address: xx.11.xx"),
    ({"a": [{"cidr": "xxxx:db8:1234:1a00::/64"}]}, "Nonstandard IP address: xxxx:db8:1234:1a00::"),
    ({"a": [{"cidr": "300.0.0.0/8"}]}, "Invalid IP address: 300.0.0.0"),
    ({"$or": {"a": [1]}}, "It must be an Array followed with $or."),
    ({"$or": [{"a": [1]}]}, "There must have at least 2 Objects in $or relationship."),
    ({"$or": [{"a": [1]}, "b"]}, "Only JSON object is allowed in array of $or relationship."),
    (
        {"$or": [{"a": [1]}, {"prefix": ["b"]}]},
        "prefix is Ruler reserved fieldName which cannot be used inside $or.",
    ),
    # fnframe's own words.
    ({"a": ["x" * 5000]}, "the pattern has 5,010 characters as JSON; the limit is 4,096"),
    ({str(number): [1] for number in range(257)}, "one rule has more than 256 keys"),
    (
        {str(number): {"$or": [{"a": [1]}, {"b": [1]}]} for number in range(10)},
        "$or makes more than 1,000 combinations",
    ),
    ({".".join("x" * 101): [1]}, "one key has more than 100 steps"),
]


@pytest.mark.parametrize(("pattern", "event", "expected"), FIT)
def test_which_events_fit(pattern, event, expected):
    assert compile_patterns(pattern, payload=None)(event) is expected
    assert fits(pattern, event) is expected, "the literal reading is held to the same"


@pytest.mark.parametrize(("pattern", "reason"), REFUSED)
def test_the_words_with_which_a_pattern_is_refused(pattern, reason):
    with pytest.raises(InvalidPattern) as caught:
        compile_patterns([pattern])
    assert caught.value.reason == reason


def test_the_place_and_the_pattern_are_named():
    with pytest.raises(InvalidPattern) as caught:
        compile_patterns({"data": {"$or": [{"size": [1]}, {"kind": {"of": []}}]}})
    assert str(caught.value) == (
        "Event pattern is not valid. Reason: Empty arrays are not allowed - at `data.$or.kind.of` in "
        '{"data":{"$or":[{"size":[1]},{"kind":{"of":[]}}]}}'
    )


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        (None, "Filter is not an object in None"),
        ([], r"Filter is not an object in \[\]"),
        ("{}", "Filter is not an object in '{}'"),
        ({"a": [object()]}, "cannot be written as JSON"),
        ({"a": ["\ud800"]}, "cannot be written as JSON"),
    ],
)
def test_what_is_no_json_is_refused(patterns, words):
    with pytest.raises(InvalidPattern, match=words):
        compile_patterns(patterns)


def test_a_pattern_that_holds_itself_is_refused():
    circle = {}
    circle["a"] = circle
    with pytest.raises(InvalidPattern, match="cannot be written as JSON"):
        compile_patterns(circle)


def test_a_pattern_is_read_once():
    pattern = {"a": ["x"]}
    compiled = compile_patterns(pattern)
    pattern["a"] = ["y"]
    assert compiled({"a": "x"})
    assert not compiled({"a": "y"})


def test_of_one_key_given_twice_the_last_counts():
    assert compile_patterns({"a.b": ["x"], "a": {"b": ["y"]}})({"a": {"b": "y"}})
    assert not compile_patterns({"a.b": ["x"], "a": {"b": ["y"]}})({"a": {"b": "x"}})
