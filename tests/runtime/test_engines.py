"""Which engine an app has: by URL, for all of it or for one queue or stream; what is wrong is said with its place."""

from __future__ import annotations

import pytest

from fnframe import ConfigurationError, hookimpl
from fnframe.clock import SystemClock
from fnframe.engine.memory import MemoryEngine
from fnframe.engine.protocol import REPORTS, Message, Record
from fnframe.runtime.config import Settings, load_settings
from fnframe.runtime.engines import durable_url, engine_of
from fnframe.runtime.open_engine import open_engine
from fnframe.runtime.plugins import FoundPlugin, Plugins, load_plugins
from fnframe.runtime.run import run_target
from fnframe.sending import Target

pytestmark = pytest.mark.anyio

APP = """
from fnframe import App

app = App("chosen")


@app.function()
def echo(event):
    return event
"""


class Brings:
    def __init__(self, brought):
        self.brought = brought

    @hookimpl
    def fnframe_register_engines(self):
        if isinstance(self.brought, Exception):
            raise self.brought
        return self.brought


@pytest.fixture
def chosen(tmp_path):
    """The engine for some settings, with plugins of the test's own or those that are installed."""

    def chosen(*brought, **settings):
        plugins = Plugins()
        for number, one in enumerate(brought):
            plugins.add(Brings(one), f"plugin {number}")
        loaded = plugins if brought else load_plugins()
        return engine_of(load_settings(tmp_path, {}, settings, {}), loaded, tmp_path, SystemClock())

    return chosen


@pytest.fixture
def refusal(chosen):
    def refusal(*brought, **settings):
        with pytest.raises(ConfigurationError) as caught:
            chosen(*brought, **settings)
        return str(caught.value)

    return refusal


def other_engine(url, options):
    made = MemoryEngine(options)
    made.url, made.options = url, options
    return made


async def test_an_app_waits_in_memory_unless_it_is_told_otherwise(write_app, tmp_path):
    async with run_target(write_app(APP)) as running:
        assert (running.engine.durable, running.settings.engine) == (False, "memory:")
    assert not (tmp_path / ".fnframe").exists()


async def test_a_durable_engine_lies_beside_the_app(write_app, tmp_path):
    async with run_target(write_app(APP), durable=True) as running:
        assert (running.engine.durable, running.engine.shared) == (True, True)
        assert running.settings.engine == "sqlite:///.fnframe/engine.db"
        assert (tmp_path / ".fnframe" / "engine.db").exists()


async def test_what_the_settings_name_wins_over_what_is_durable(write_app):
    async with run_target(write_app(APP), durable=True, settings={"engine": "memory:"}) as running:
        assert not running.engine.durable


async def test_an_engine_is_made_of_its_url_and_the_apps_options(chosen, tmp_path):
    settings = {"queue_bound": 5, "stream_partitions": 2, "stream_retention": 60, "stream_records": 7}
    made = chosen({"other": other_engine}, engine="other://host/x", **settings)
    assert made.url == "other://host/x"
    options = made.options
    assert (options.directory, options.queue_bound, options.stream_partitions) == (tmp_path, 5, 2)
    assert (options.stream_retention, options.stream_records) == (60.0, 7)


async def test_one_queue_or_stream_may_have_another_engine(chosen, tmp_path):
    engines = {"queue:orders": "sqlite:///orders.db", "stream:clicks": "sqlite:///orders.db"}
    async with chosen(engines=engines) as engine:
        assert (engine.durable, engine.shared) == (False, False), "as its home is"
        home, other = engine.engines
        await engine.queue("orders").send([Message("a", b"")])
        await engine.queue("others").send([Message("a", b"")])
        await engine.stream("clicks").publish([Record("key", b"")])
        await engine.stream("others").publish([Record("key", b"")])
        assert sorted(await engine.queues()) == ["orders", "others"]
        assert sorted(await engine.streams()) == ["clicks", "others"]
        assert (await other.queues(), await other.streams()) == (["orders"], ["clicks"])
        assert (await home.queues(), await home.streams()) == (["others"], ["others"])
        await home.queue("orders").send([Message("from before", b"")])
        assert sorted(await engine.queues()) == ["orders", "others"], "listed once"
        (lease,) = await engine.queue("orders").receive(9, 30)
        assert lease.message.id == "a", "what another engine holds under the name is not served"
        await engine.state("s").put("key", b"value")
        assert await home.state("s").get("key") == b"value"
        assert engine.stream(REPORTS) is home.stream(REPORTS)
    async with chosen(engines=engines) as engine:
        assert await engine.queues() == ["orders"]


def test_an_unknown_engine_says_what_is_there_and_what_to_install(refusal, tmp_path):
    (tmp_path / "fnframe.toml").write_text("\nengine = 'sqlit:///x.db'\n")
    told = refusal()
    assert told == (
        f"{tmp_path / 'fnframe.toml'}:2: no engine for the URL 'sqlit:///x.db', did you mean 'sqlite:'?; "
        "there is memory:, sqlite:"
    )
    assert "no engine for the URL 'sqlite:///x.db': install fnframe-sqlite; there is" in refusal(
        {"other": other_engine}, engine="sqlite:///x.db"
    )
    assert "no engine for the URL 'memory'" in refusal(engine="memory")
    assert "no engine for the URL 'nats://host/...'" in refusal(engine="nats://user:secret@host/x")
    assert "the engine in memory has the URL 'memory:', found 'memory:x'" in refusal(engine="memory:x")


def test_a_plugin_that_is_there_and_broken_is_named():
    plugins = Plugins()
    plugins.found.append(
        FoundPlugin(name="sqlite", origin="fnframe_sqlite.plugin", distribution="fnframe-sqlite", problem="no apsw")
    )
    with pytest.raises(ConfigurationError, match="the plugin fnframe-sqlite cannot be used: no apsw; there"):
        engine_of(Settings(engine="sqlite:///x.db"), plugins, None, SystemClock())
    assert durable_url(plugins) == "memory:"


def test_a_wrong_url_is_told_with_its_place(refusal, tmp_path):
    (tmp_path / "fnframe.toml").write_text('[engines]\n"queue:a" = "memory:"\n"queue:b" = "sqlite://x"\n')
    told = refusal()
    assert told.startswith(
        f"{tmp_path / 'fnframe.toml'}:3: the engine's URL 'sqlite://x' names no file: write sqlite:///"
    )


def test_plugins_that_bring_no_engines_or_disagree_are_refused(refusal):
    label = "plugin plugin 0: fnframe_register_engines"
    assert f"{label} failed: ValueError: no" in refusal(ValueError("no"))
    assert f"{label} must return what makes engines by scheme, found ['x']" in refusal(["x"])
    assert f"{label} must return what makes engines by scheme, found {{'x': 1}}" in refusal({"x": 1})
    problem = "two plugins bring an engine for x: URLs: plugin 1 and plugin 0; remove one of them"
    assert problem in refusal({"x": other_engine}, {"x": other_engine})
    assert "two plugins bring an engine for memory: URLs: fnframe and plugin 0" in refusal({"memory": other_engine})


@pytest.mark.parametrize(
    ("toml", "line", "words"),
    [
        ("[engines]\norders = 'memory:'\n", 2, "as 'queue:orders' or 'stream:clicks'; found 'orders'"),
        ("[engines]\n'queue:' = 'memory:'\n", 2, "found 'queue:'"),
        ("[engines]\n'state:x' = 'memory:'\n", 2, "found 'state:x'"),
        ("\n[engines]\n'queue:x' = 1\n", 3, "engines.queue:x: expected an engine's URL, found 1"),
        ("engines = 'memory:'\n", 1, "engines: expected `object`, found 'memory:'"),
        ("engins = {x = 'memory:'}\n", 1, "unknown table [engins], did you mean [engines]?"),
    ],
)
def test_a_wrong_table_is_told_with_its_line(refusal, tmp_path, toml, line, words):
    (tmp_path / "fnframe.toml").write_text(toml)
    told = refusal()
    assert told.startswith(f"{tmp_path / 'fnframe.toml'}:{line}: ")
    assert words in told


def test_the_table_may_be_a_variable_or_an_argument(tmp_path):
    def engines(settings=None, environ=None):
        return load_settings(tmp_path, {}, settings, environ or {}).engines

    assert engines(environ={"FNFRAME_ENGINES": '{"queue:a": "memory:"}'}) == {"queue:a": "memory:"}
    assert engines({"engines": {"queue:a": "memory:"}}) == {"queue:a": "memory:"}
    assert engines({"engines.queue:a": "memory:"}) == {"queue:a": "memory:"}
    assert engines() == {}


async def test_what_is_sent_from_outside_goes_where_it_outlives_who_sends(write_app, tmp_path):
    app = write_app(APP)
    queue, stream = Target("queue", "orders"), Target("stream", "clicks")
    engines = '[engines]\n"queue:orders" = "memory:"\n"stream:clicks" = "sqlite:///clicks.db"\n'
    (tmp_path / "fnframe.toml").write_text(f"\n{engines}")
    with pytest.raises(ConfigurationError, match=r"fnframe.toml:3: the engine of queue:orders is 'memory:'"):
        await open_engine(app, of=queue).__aenter__()
    (tmp_path / "fnframe.toml").write_text(f'engine = "memory:"\n{engines}')
    async with open_engine(app, of=stream) as engine:
        await engine.stream("clicks").publish([Record("k", b"1")])
    async with open_engine(app) as engine:
        assert await engine.streams() == ["clicks"]
    with pytest.raises(ConfigurationError, match=r"fnframe.toml:1: the engine of queue:other is 'memory:'"):
        await open_engine(app, of=Target("queue", "other")).__aenter__()
