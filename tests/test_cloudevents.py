"""CloudEvents 1.0 in both forms, there and back; the SDK of the specification's authors judges each direction."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import msgspec
import pytest
from cloudevents.core.bindings import http as sdk
from cloudevents.core.v1.event import CloudEvent
from hypothesis import example, given
from hypothesis import strategies as st

from fnframe import ConfigurationError, Event
from fnframe.cloudevents import from_binary, from_structured, to_binary, to_structured
from fnframe.event import encode_json, now

STRUCTURED = "application/cloudevents+json"
NAMED = {"id", "source", "type", "time", "subject", "dataschema", "datacontenttype"}
OURS = ("traceparent", "tracestate")
RESERVED = {*NAMED, *OURS, "specversion", "data"}

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
TIMES = st.datetimes(min_value=dt.datetime(1970, 1, 2), max_value=dt.datetime(2100, 1, 1), timezones=ZONES)
# Some of the names are those of our own fields, which no attribute may reach.
NAMES = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True) | st.sampled_from(["origin", "depth", "extensions", "cause"])
EXTENSIONS = NAMES.filter(lambda name: name not in RESERVED)
INTEGERS = st.integers(-(2**31), 2**31 - 1)
VALUES = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
JSON_TYPES = st.sampled_from(["application/json", "application/vnd.order+json", "Application/JSON; charset=utf-8"])
OTHER_TYPES = st.sampled_from(["application/octet-stream", "image/jpeg", "text/plain", "application/xml"])


def events(extension_values: Any = TEXTS) -> st.SearchStrategy[Event]:
    json_or_not = st.tuples(JSON_TYPES, VALUES.map(encode_json)) | st.tuples(OTHER_TYPES, st.binary(max_size=50))
    fields = {"id": TEXTS, "source": TEXTS, "type": TEXTS, "time": TIMES}
    fields |= {name: st.none() | TEXTS for name in ("subject", "dataschema", *OURS)}
    fields["extensions"] = st.dictionaries(EXTENSIONS, extension_values, max_size=4)
    return json_or_not.flatmap(
        lambda pair: st.builds(Event, datacontenttype=st.just(pair[0]), data=st.just(pair[1]), **fields)
    )


def is_json(event: Event) -> bool:
    return "json" in event.datacontenttype.lower()


def same(event: Event, other: CloudEvent) -> None:
    """The SDK's event says what ours says."""
    expected = {name: getattr(event, name) for name in (*NAMED, *OURS)} | event.extensions | {"specversion": "1.0"}
    assert other.get_attributes() == {name: value for name, value in expected.items() if value is not None}


@given(events(TEXTS | INTEGERS | st.booleans()))
def test_structured_there_and_back(event):
    again = from_structured(to_structured(event))
    if is_json(event):
        assert again.value() == event.value()
        again = msgspec.structs.replace(again, data=event.data)
    assert again == event
    assert {name: type(value) for name, value in again.extensions.items()} == {
        name: type(value) for name, value in event.extensions.items()
    }


@given(events())
def test_binary_there_and_back(event):
    headers, body = to_binary(event)
    assert from_binary(headers, body) == event
    assert from_binary({name.title(): text for name, text in headers.items()}, body) == event


@given(events(TEXTS | INTEGERS | st.booleans()))
def test_the_sdk_reads_what_we_write_structured(event):
    read = sdk.from_structured_event(sdk.HTTPMessage({"content-type": STRUCTURED}, to_structured(event)))
    same(event, read)
    assert read.get_data() == (event.value() if is_json(event) else event.data)


@given(events())
def test_the_sdk_reads_what_we_write_binary(event):
    headers, body = to_binary(event)
    read = sdk.from_binary_event(sdk.HTTPMessage(headers, body))
    same(event, read)
    assert body == event.data


def sdk_events(data: Any, content_types: Any, extension_values: Any) -> st.SearchStrategy[CloudEvent]:
    fields = {"id": TEXTS, "source": TEXTS, "type": TEXTS, "time": TIMES, "specversion": st.just("1.0")}
    optional = dict.fromkeys(("subject", "dataschema", *OURS), TEXTS) | {"datacontenttype": content_types}
    attributes = st.tuples(
        st.fixed_dictionaries(fields, optional=optional), st.dictionaries(EXTENSIONS, extension_values, max_size=4)
    ).map(lambda parts: {**parts[1], **parts[0]})
    return st.builds(CloudEvent, attributes, data)


def says_the_same(read: Event, made: CloudEvent) -> None:
    attributes = dict(made.get_attributes())
    assert attributes.pop("specversion") == "1.0"
    for name in (*NAMED, *OURS):
        default = "application/json" if name == "datacontenttype" else None
        assert getattr(read, name) == attributes.pop(name, default), name
    assert read.extensions == attributes
    assert (read.origin, read.depth) == (b"", 0)


@given(sdk_events(st.dictionaries(TEXTS, VALUES, max_size=3), JSON_TYPES, TEXTS | INTEGERS | st.booleans()))
def test_we_read_what_the_sdk_writes_structured(made):
    # The SDK knows a JSON content type only in lower case.
    if made.get_datacontenttype() is not None:
        made.get_attributes()["datacontenttype"] = made.get_datacontenttype().lower()
    read = from_structured(sdk.to_structured_event(made).body)
    says_the_same(read, made)
    assert read.value() == made.get_data()


@given(sdk_events(st.binary(max_size=50), OTHER_TYPES, TEXTS))
def test_we_read_bytes_that_the_sdk_writes_structured(made):
    read = from_structured(sdk.to_structured_event(made).body)
    says_the_same(read, made)
    assert read.data == made.get_data()


TEXT_EVENT = {"id": "1", "source": "/s", "type": "t", "specversion": "1.0", "datacontenttype": "text/xml"}


@given(sdk_events(TEXTS, OTHER_TYPES, TEXTS))
@example(CloudEvent({**TEXT_EVENT, "time": now()}, '<much wow="xml"/>'))
def test_we_read_text_that_the_sdk_writes_structured(made):
    """The specification's own example: `"datacontenttype": "text/xml", "data": "<much wow=\\"xml\\"/>"`. The data
    is the text, not the JSON string that it travelled as (JSON format, section 3.1)."""
    if made.get_datacontenttype() is None:
        made.get_attributes()["datacontenttype"] = "text/plain"
    read = from_structured(sdk.to_structured_event(made).body)
    says_the_same(read, made)
    assert read.data == made.get_data().encode()


@given(sdk_events(st.dictionaries(TEXTS, VALUES, max_size=3), JSON_TYPES.map(str.lower), TEXTS))
def test_we_read_what_the_sdk_writes_binary(made):
    message = sdk.to_binary_event(made)
    read = from_binary(message.headers, message.body)
    says_the_same(read, made)
    assert read.value() == made.get_data()


@given(TEXTS, TEXTS)
def test_headers_are_written_as_the_sdk_writes_them(subject, source):
    """Byte for byte: a proxy in between sees one spelling."""
    event = Event(id="1", source=source, type="t", time=now(), subject=subject)
    headers, _ = to_binary(event)
    attributes = {"id": "1", "source": source, "type": "t", "specversion": "1.0", "subject": subject}
    made = CloudEvent({**attributes, "time": event.time, "datacontenttype": "application/json"}, {})
    assert headers == dict(sdk.to_binary_event(made).headers)


def test_headers_can_be_sent():
    event = Event(id='a"%\r\nset-cookie: b é\U0001f600', source=" s ", type="t", time=now())
    headers, body = to_binary(event)
    for text in headers.values():
        assert text.isascii()
        assert text.isprintable()
        assert text == text.strip()
    assert headers["ce-id"] == "a%22%25%0D%0Aset-cookie:%20b%20%C3%A9%F0%9F%98%80"
    assert from_binary(headers, body).id == event.id


def test_values_in_headers_are_in_the_specifications_canonical_form():
    moment = dt.datetime(2026, 1, 2, 3, 4, 5, 600, dt.UTC)
    event = Event(id="1", source="s", type="t", time=moment, extensions={"yes": True, "no": False, "count": -3})
    headers, _ = to_binary(event)
    assert (headers["ce-yes"], headers["ce-no"], headers["ce-count"]) == ("true", "false", "-3")
    assert headers["ce-time"] == "2026-01-02T03:04:05.000600Z"


LEAST = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}


def structured(**members: Any) -> bytes:
    return json.dumps({**LEAST, **members}).encode()


def test_the_least_event_gets_what_is_missing():
    before = now()
    for event in (
        from_structured(structured()),
        from_binary({f"ce-{name}": text for name, text in LEAST.items()}, b"null"),
    ):
        assert (event.id, event.source, event.type) == ("1", "/s", "t")
        assert before <= event.time <= now()
        assert (event.value(), event.datacontenttype, event.subject) == (None, "application/json", None)


def test_an_attribute_that_is_null_is_one_that_is_missing():
    event = from_structured(structured(subject=None, shop=None, time=None))
    assert (event.subject, event.extensions) == (None, {})


def test_a_body_that_is_no_json_is_written_structured_as_bytes():
    """An HTTP request without a body, or a client that says JSON and sends something else: the event is an event,
    and what is forwarded of it must still be one JSON object."""
    for body in (b"", b"{x", b"1 2", b"[" * 100_000 + b"]" * 100_000):
        event = from_binary({f"ce-{name}": text for name, text in LEAST.items()}, body)
        written = to_structured(event)
        json.loads(written)
        if body:
            assert from_structured(written).data == body


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("specversion", "0.3", "specversion 1.0, found 0.3"),
        ("specversion", None, "specversion 1.0, found none"),
        ("id", "", "'id'; it is missing or empty"),
        ("source", None, "'source'"),
        ("type", "", "'type'"),
        ("id", 5, "`id`"),
        ("source", ["x"], "`source`"),
        ("type", {"a": 1}, "`type`"),
        ("time", "yesterday", "`time`"),
        ("time", 5, "`time`"),
        ("subject", 5, "`subject`"),
        ("dataschema", 5, "`dataschema`"),
        ("datacontenttype", 5, "`datacontenttype`"),
        ("traceparent", 5, "`traceparent`"),
        ("tracestate", [], "`tracestate`"),
    ],
)
def test_what_is_wrong_names_the_attribute(member, value, words):
    with pytest.raises(ConfigurationError) as caught:
        from_structured(structured(**{member: value}))
    assert words in str(caught.value)
    assert "$" not in str(caught.value)


@pytest.mark.parametrize("value", [[1], 1.5, {"a": 1}])
def test_an_extension_of_no_type_names_it(value):
    with pytest.raises(ConfigurationError, match="shop"):
        from_structured(structured(other="fine", shop=value))


@pytest.mark.parametrize("value", ["!!", 5, []])
def test_bad_base64_names_it(value):
    with pytest.raises(ConfigurationError, match="data_base64"):
        from_structured(structured(data_base64=value))


def test_a_time_without_a_zone_is_refused():
    """RFC 3339 asks for one, so does the SDK; a naive time cannot even be compared with others."""
    with pytest.raises(ConfigurationError, match="time"):
        from_structured(structured(time="2026-01-02T03:04:05"))
    with pytest.raises(ConfigurationError, match="time"):
        from_binary({**{f"ce-{name}": text for name, text in LEAST.items()}, "ce-time": "2026-01-02T03:04:05"}, b"")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"1", b'"x"', b"\xff", b'{"specversion": "1.0", "id": "\xff"}', b'{"x":' + b"[" * 9999]
)
def test_a_body_that_is_no_event_says_so(body):
    with pytest.raises(ConfigurationError, match="not a CloudEvent in structured mode"):
        from_structured(body)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "specversion 1.0, found none"),
        ({"ce-specversion": "1.0"}, "'id'"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": ""}, "'source'"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s"}, "'type'"),
        ({"ce-specversion": "1.0", "ce-id": "1", "ce-source": "s", "ce-type": "t", "ce-time": "x"}, "`time`"),
    ],
)
def test_wrong_headers_name_the_attribute(headers, words):
    with pytest.raises(ConfigurationError) as caught:
        from_binary(headers, b"")
    assert words in str(caught.value)


def test_headers_that_are_none_of_the_events_are_left_alone():
    headers = {f"ce-{name}": text for name, text in LEAST.items()} | {"x-other": "1", "authorization": "no"}
    assert from_binary(headers, b"1").extensions == {}


@given(st.binary(max_size=60))
@example(b'{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"\xff"}')
def test_whatever_comes_is_an_event_or_refused(body):
    try:
        from_structured(body)
    except ConfigurationError as error:
        assert str(error)  # noqa: PT017  either is right; nothing else may be raised
