"""Whose invocation it is: what may be declared, and what is found in an event."""

from __future__ import annotations

import pytest

from fnframe import App, ConfigurationError, Event, Trigger
from fnframe.event import encode_json, now
from fnframe.tenant import LONGEST, is_declaration, tenant_reader


def event(data=None, **more):
    return Event(id="1", source="test", type="test", time=now(), data=encode_json(data), **more)


def found(declaration, data=None, **more):
    return tenant_reader(declaration, lambda event, kind, name: Trigger.header(event, name))(event(data, **more), "any")


@pytest.mark.parametrize("text", ["header:X-Tenant", "header:x_1", "$.id", "$.customer.id", "$.größe.kunden-nr"])
def test_what_may_be_declared(text):
    assert is_declaration(text)
    app = App("any")
    app.function(name="any", tenant=text)(lambda: None)
    assert next(iter(app.definitions.values())).function.tenant == text


@pytest.mark.parametrize(
    "text", ["", "header:", "header:a b", "header:a:b", "customer", "$", "$.", "$.a..b", "$.a[0]", 7, ["$.a"]]
)
def test_what_may_not(text):
    assert not is_declaration(text)
    with pytest.raises(ConfigurationError, match=r"tenant must be 'header:NAME', or the path .* found") as raised:
        App("any").function(tenant=text)(lambda: None)
    assert raised.value.where.startswith(f"{__file__}:")


@pytest.mark.parametrize(
    ("data", "tenant"),
    [
        ({"customer": {"id": "acme", "more": [1, {"id": "other"}]}, "id": "wrong"}, "acme"),
        ({"customer": {"id": 17}}, "17"),
        ({"customer": {"id": "x" * 1000}}, "x" * LONGEST),
        ({"customer": {"id": ""}}, None),
        ({"customer": {"id": None}}, None),
        ({"customer": {"id": True}}, None),
        ({"customer": {"id": ["acme"]}}, None),
        ({"customer": {}}, None),
        ({"customer": "acme"}, None),
        ({"customer": None}, None),
        ({}, None),
        ([], None),
        ("acme", None),
        (None, None),
    ],
)
def test_a_field_of_the_data(data, tenant):
    assert found("$.customer.id", data) == tenant


def test_data_that_is_no_json_has_no_tenant():
    read = tenant_reader("$.id", lambda *_: None)
    for data in (b"\xff\xfe", b"{", b"", b'{"id":"\xff"}', b'{"other":' + b"[" * 100_000):
        assert read(Event(id="1", source="", type="", time=now(), data=data), "any") is None


def test_a_header_is_an_extension_attribute_where_a_trigger_does_not_say_otherwise():
    assert found("header:Tenant", extensions={"tenant": "acme"}) == "acme"
    assert found("header:tenant", extensions={"tenant": 17}) == "17"
    assert found("header:tenant", extensions={"other": "acme"}) is None
