from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest
from fnframe_files import Files, ObjectCreated, ObjectRemoved

from fnframe import App, ConfigurationError, Context
from fnframe.trigger import kind_of


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bucket": ""}, "the bucket must be a folder"),
        ({"bucket": None}, "the bucket must be a folder"),
        ({"bucket": "a\0b"}, "the bucket must be a folder"),
        ({"pattern": ""}, "pattern must be a pattern such as '*.jpg', found ''"),
        ({"pattern": "/a/*.jpg"}, "below the folder"),
        ({"pattern": "../*.jpg"}, "below the folder"),
        ({"pattern": "raw/"}, "below the folder"),
        ({"pattern": "[z-a]"}, "cannot be understood"),
        ({"pattern": "x[ab"}, "pattern 'x[ab' cannot be understood: a '[' is not closed; '[[]' is that character"),
        ({"pattern": "a[/]b"}, "a set has no '/'"),
        ({"ignore": ("a[",)}, "ignore 'a[' cannot be understood: a '[' is not closed"),
        ({"events": "created"}, "events must be"),
        ({"events": ()}, "events must be"),
        ({"events": ("created", "deleted")}, "events must be"),
        ({"ignore": "*.part"}, "ignore must be a tuple of patterns"),
        ({"poll": 0}, "poll must be a number of seconds over 0"),
        ({"poll": "1"}, "poll must be"),
        ({"poll": float("inf")}, "poll must be"),
        ({"settle": -1}, "settle must be"),
        ({"settle": float("inf")}, "settle must be"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        Files(**{"bucket": "uploads", **options})
    assert says in str(refused.value)
    assert str(refused.value).startswith("Files: ")


def test_it_travels_in_a_manifest() -> None:
    app = App("photos")
    trigger = Files("uploads", "*.jpg", events=("created", "removed"), poll=2.0)

    @app.function(trigger)
    def handle(event: ObjectCreated | ObjectRemoved, context: Context) -> None: ...

    (spec,) = app.manifest().functions[0].triggers
    assert spec.kind == kind_of(Files) == "files"
    assert spec.text == "Files(bucket='uploads', pattern='*.jpg', events=('created', 'removed'), poll=2.0)"
    assert msgspec.json.decode(spec.fields, type=Files) == trigger
    assert Files.has_backlog
    assert Files.invocation_type == "asynchronous"


def test_declaring_it_imports_nothing_heavy() -> None:
    """Each worker's template imports the module of each trigger that the app names."""
    script = (
        "import sys; from fnframe_files import Files, ObjectCreated; Files('uploads'); "
        "print([m for m in ('anyio', 'asyncio', 'inotify_simple', 'pluggy', 'logging') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "[]\n"


def test_the_plugin_registers_it() -> None:
    from fnframe_files import plugin

    assert plugin.fnframe_register_triggers() == [Files]


def test_its_settings_are_checked() -> None:
    assert Files.Settings() == msgspec.convert({"reconcile": 600}, Files.Settings)
    with pytest.raises(msgspec.ValidationError, match=r"> 0.* at `\$.reconcile`"):
        msgspec.convert({"reconcile": 0}, Files.Settings)
