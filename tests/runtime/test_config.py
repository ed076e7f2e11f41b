"""Settings: where they come from, which source wins, and what is said when one is wrong."""

from __future__ import annotations

import msgspec
import pytest

from fnframe import ConfigurationError
from fnframe.runtime.config import Settings, load_settings, log_format
from fnframe.trigger import NoSettings


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    port: int = 8080
    host: str = "127.0.0.1"
    origins: list[str] = []

    def __post_init__(self) -> None:
        if self.port > 65_535:
            raise ValueError(f"port must be at most 65535, found {self.port}")


TABLES = {"http": HttpSettings, "plain": NoSettings}


@pytest.fixture
def load(tmp_path):
    def load(toml="", overrides=None, environ=None, tables=TABLES):
        if toml:
            (tmp_path / "fnframe.toml").write_text(toml)
        return load_settings(tmp_path, tables, overrides or {}, environ or {})

    return load


@pytest.fixture
def refusal(load):
    def refusal(*arguments, **keywords):
        with pytest.raises(ConfigurationError) as caught:
            load(*arguments, **keywords)
        return str(caught.value)

    return refusal


def test_without_any_source_there_are_the_defaults(load):
    settings = load()
    assert settings == Settings(tables={"http": HttpSettings(), "plain": NoSettings()})
    assert (settings.engine, settings.max_environments, settings.grace) == ("memory:", None, 10.0)


def test_later_sources_win_and_each_value_knows_its_own(load, tmp_path):
    settings = load(
        "engine = 'a:'\ngrace = 1\nidle_timeout = 7\n\n[http]\nport = 1\nhost = 'file'\n",
        overrides={"grace": 3, "http.port": 3},
        environ={"FNFRAME_GRACE": "2", "FNFRAME_ENGINE": "b:", "FNFRAME_HTTP_PORT": "2", "HOME": "/"},
    )
    assert (settings.engine, settings.grace, settings.idle_timeout) == ("b:", 3.0, 7.0)
    assert settings.tables["http"] == HttpSettings(port=3, host="file")
    assert settings.sources == {
        "engine": "environment variable FNFRAME_ENGINE",
        "grace": "set in the call, or with --set",
        "idle_timeout": f"{tmp_path / 'fnframe.toml'}:3",
        "http.port": "set in the call, or with --set",
        "http.host": f"{tmp_path / 'fnframe.toml'}:7",
    }


def test_settings_may_lie_in_pyproject(load, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n[tool.fnframe.http]\nport = 5\n")
    assert load().tables["http"].port == 5


def test_a_pyproject_without_settings_is_no_second_place(load, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\nline-length = 99\n")
    assert load("grace = 1\n").grace == 1.0


def test_two_places_are_refused(refusal, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.fnframe]\ngrace = 1\n")
    message = refusal("grace = 2\n")
    assert message.startswith(str(tmp_path / "pyproject.toml"))
    assert "fnframe.toml" in message


def test_overrides_may_be_tables(load):
    assert load(overrides={"http": {"port": 9}}).tables["http"].port == 9


def test_text_from_outside_is_converted_and_text_in_a_file_is_not(load, refusal):
    settings = load(
        overrides={"max_environments": "3", "http.origins": '["a", "b"]'},
        environ={"FNFRAME_MAX_WAITING": "0", "FNFRAME_RETRY_CAP": "1.5"},
    )
    assert (settings.max_environments, settings.max_waiting, settings.retry_cap) == (3, 0, 1.5)
    assert settings.tables["http"].origins == ["a", "b"]
    assert "max_waiting: expected `int`, found '0'" in refusal("max_waiting = '0'\n")


@pytest.mark.parametrize(
    ("toml", "line", "words"),
    [
        ("grace = 1\nengin = 'x'\n", 2, ["'engin'", "did you mean 'engine'?"]),
        ("[http]\nhost = 'x'\nprt = 1\n", 3, ["'http.prt'", "did you mean 'http.port'?"]),
        ("http.prt = 1\n", 1, ["'http.prt'", "did you mean 'http.port'?"]),
        ("[htp]\nport = 1\n", 1, ["[htp]", "did you mean [http]?"]),
        ("\n[htp]\n", 2, ["[htp]", "did you mean [http]?"]),
        ("grace = 1\nhtp = { port = 1 }\n", 2, ["[htp]", "did you mean [http]?"]),
        ("grace = 1\nhtp.port = 1\n", 2, ["[htp]", "did you mean [http]?"]),
        ("# here\nhttp = { prt = 1 }\n", 2, ["'http.prt'", "did you mean 'http.port'?"]),
        ("[http]\nport = 'x'\n", 2, ["http.port", "expected `int`", "found 'x'"]),
        ("[http]\norigins = ['a', 1]\n", 2, ["http.origins[1]: expected `str`, found 1"]),
        ("[http]\nport = 70000\n", 2, ["[http]", "at most 65535, found 70000"]),
        ("grace = -1\n", 1, ["grace", ">= 0", "found -1"]),
        ("max_environments = 0\n", 1, ["max_environments", ">= 1"]),
        ("log_format = 'xml'\n", 1, ["log_format", "'text', 'json'", "found 'xml'"]),
        ("# comment\ngrace = \n", 2, ["not valid TOML"]),
        ("grace = 1\nx = [\n", 2, ["not valid TOML"]),
        ("triggers = {}\n", 1, ["[triggers]"]),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_line(refusal, tmp_path, toml, line, words):
    message = refusal(toml)
    assert message.startswith(f"{tmp_path / 'fnframe.toml'}:{line}: ")
    for word in words:
        assert word in message


def test_what_is_wrong_elsewhere_is_told_with_its_place(refusal):
    assert "did you mean 'FNFRAME_HTTP_PORT'?" in refusal(environ={"FNFRAME_HTTP_PROT": "1"})
    assert refusal(environ={"FNFRAME_HTTP_PORT": "x"}).startswith("environment variable FNFRAME_HTTP_PORT: ")
    assert refusal(overrides={"http.prt": 1}) == (
        "set in the call, or with --set: unknown key 'http.prt', did you mean 'http.port'?"
    )
    assert "fnframe plugins" in refusal(overrides={"cron.tz": "UTC"})


def test_a_value_found_by_its_quoted_key_or_inline_table_still_names_the_file(refusal, tmp_path):
    message = refusal("http = { port = 'x' }\n")
    assert message.startswith(str(tmp_path / "fnframe.toml"))
    assert "http.port: expected `int`" in message


def test_a_file_that_is_no_text_is_told(refusal, tmp_path):
    (tmp_path / "fnframe.toml").write_bytes(b"\xff\xfe")
    assert "cannot be read" in refusal()


def test_what_fnframe_sets_in_an_environment_is_no_setting(load):
    """A handler that starts `fnframe` itself passes its environment's variables on."""
    assert load(environ={"FNFRAME_FUNCTION": "f", "FNFRAME_ENVIRONMENT": "e"}).sources == {}


def test_the_form_of_the_log_is_known_before_the_plugins_are(tmp_path):
    assert log_format(tmp_path, {}) is None
    (tmp_path / "fnframe.toml").write_text("log_format = 'text'\n[unknown]\nkey = 1\n")
    assert log_format(tmp_path, {}) == "text"
    assert log_format(tmp_path, {"FNFRAME_LOG_FORMAT": "json"}) == "json"
