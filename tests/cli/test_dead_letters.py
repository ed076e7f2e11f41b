"""What the commands of `fnframe dlq` show and do, on an engine that is right here."""

from __future__ import annotations

import json

import anyio
import pytest

from fnframe import Event
from fnframe.cli.dead_letters import list_letters, move_letters, show_letter
from fnframe.cli.errors import UsageError
from fnframe.cli.letters import letters
from fnframe.dispatch.carried import Carried, wrapped
from fnframe.dispatch.queues.asynchronous import Envelope, encode_envelope
from fnframe.dispatch.settled.outbox import OUTBOX, put_letter
from fnframe.engine.memory import MemoryEngine
from fnframe.engine.protocol import EngineOptions, Message
from fnframe.event import encode_json, now
from fnframe.testing.clock import ManualClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
async def engine(tmp_path, clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    async with MemoryEngine(EngineOptions(directory=tmp_path, clock=clock)) as engine:
        yield engine


def event_of(id_, data) -> Event:
    return Event(id=id_, source="files:in", type="file", time=now(), data=data, subject="a.txt")


async def bury(engine, queue, id_, body, reason, error) -> None:
    await engine.queue(queue).send([Message(id_, body)])
    (lease,) = await engine.queue(queue).receive(1, 60)
    await lease.bury(reason, encode_json(error))


@pytest.fixture
async def filled(engine):
    """An engine with one dead letter of each kind."""
    body = encode_envelope(Envelope(event_of("e1", b'{"name": "a.txt", "size": 3}'), "r1", "files"))
    error = {"errorType": "ValueError", "errorMessage": "this text is bad", "stackTrace": ['  File "app.py", line 7\n']}
    await bury(engine, "function:count", "files:in e1", body, "RetriesExhausted after 3 attempts: ValueError", error)
    await bury(
        engine, "orders-of-a-shop-with-a-long-name", "o1", wrapped(Carried(b"\x1b[31mred", 2)), "EventAgeExceeded", None
    )
    await put_letter(engine, "https://me:secret@host/hook?x", event_of("e2", b"1"))
    (lease,) = await engine.queue(OUTBOX).receive(1, 60)
    problem = "https://host/... answered 404 Not Found"
    await lease.bury(problem, encode_json({"errorType": "DestinationFailed", "errorMessage": problem}))
    return engine


async def handles(engine) -> dict[str, str]:
    return {found.queue: found.handle for found in await letters(engine, None)}


async def test_a_table_that_reads_well_in_80_columns(filled, capsys):
    assert await list_letters(filled, queue=None, as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    names = await handles(filled)
    assert lines[0].split() == ["id", "queue", "when", "attempts", "error"]
    assert lines[1].split()[:2] == [names[OUTBOX], OUTBOX]
    assert lines[2] == "    https://host/... answered 404 Not Found"
    assert lines[3].split()[:2] == [names["function:count"], "function:count"]
    assert lines[3].split()[-2:] == ["1", "ValueError"]
    assert lines[4] == "    RetriesExhausted after 3 attempts: ValueError: this text is bad"
    assert lines[5].split()[1] == "orders-of-a-shop-with-\u2026"
    assert lines[-1] == "3 dead letters; `fnframe dlq show` tells all of one"
    assert max(map(len, lines)) <= 80


async def test_of_one_queue_by_its_name_or_its_functions(filled, capsys):
    for name in ("count", "function:count"):
        await list_letters(filled, queue=name, as_json=False)
        assert "\n1 dead letter; " in capsys.readouterr().out
    with pytest.raises(UsageError, match="the queue 'cuont' holds nothing, did you mean 'count'"):
        await list_letters(filled, queue="cuont", as_json=False)


async def test_nothing_is_told_too(engine, capsys):
    assert await list_letters(engine, queue=None, as_json=False) == 0
    assert capsys.readouterr().out == "no dead letters\n"
    assert await list_letters(engine, queue=None, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == []
    with pytest.raises(UsageError, match="the queue 'x' holds nothing, and no other does"):
        await list_letters(engine, queue="x", as_json=False)


async def test_all_of_an_event(filled, capsys):
    names = await handles(filled)
    assert await show_letter(filled, word=names["function:count"][:6], queue=None, as_json=False) == 0
    text = capsys.readouterr().out
    fields = dict(line.split(maxsplit=1) for line in text.splitlines()[:8])
    assert fields["queue"] == "function:count"
    assert fields["id"] == "files:in e1"
    assert fields["attempts"] == "1"
    assert fields["error"] == "ValueError: this text is bad"
    assert fields["event"] == "file from files:in a.txt"
    assert '  File "app.py", line 7\n\n{\n  "name": "a.txt",\n  "size": 3\n}\n' in text


async def test_all_of_a_message_whose_data_would_steer_the_terminal(filled, capsys):
    await show_letter(filled, word="o1", queue=None, as_json=False)
    assert capsys.readouterr().out.endswith("\n\n\\x1b[31mred\n")


async def test_all_of_a_record_for_a_url_without_its_secrets(filled, capsys):
    for as_json in (False, True):
        await show_letter(filled, word="files:in e2", queue=None, as_json=as_json)
        text = capsys.readouterr().out
        assert "https://host/..." in text
        assert "secret" not in text
        assert "hook" not in text


async def test_for_programs(filled, capsys):
    await list_letters(filled, queue="count", as_json=True)
    (listed,) = json.loads(capsys.readouterr().out)
    assert listed["queue"] == "function:count"
    assert listed["error"]["errorType"] == "ValueError"
    assert (listed["attempts"], listed["lost"], listed["group"]) == (1, 0, None)
    assert "data" not in listed
    await show_letter(filled, word=listed["handle"], queue=None, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["data"] == {"name": "a.txt", "size": 3}
    assert (shown["event"]["id"], shown["event"]["subject"]) == ("e1", "a.txt")
    await show_letter(filled, word="o1", queue=None, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert (shown["data"], shown["event"], shown["error"]) == ("\x1b[31mred", None, None)


async def test_redriven_it_begins_anew(filled, capsys):
    assert await move_letters("redrive", filled, words=["files:in e1"], queue=None) == 0
    assert capsys.readouterr().out == "function:count: 1 dead letter redriven\n"
    (lease,) = await filled.queue("function:count").receive(1, 60)
    assert lease.message.attempt == 1
    assert len(await letters(filled, None)) == 2


async def test_purged_it_is_gone(filled, capsys):
    assert await move_letters("purge", filled, words=[], queue="count") == 0
    assert capsys.readouterr().out == "function:count: 1 dead letter purged\n"
    assert await move_letters("purge", filled, words=[], queue=None) == 0
    assert await letters(filled, None) == []
    assert await move_letters("purge", filled, words=[], queue=None) == 0
    assert capsys.readouterr().out.endswith("no dead letters\n")


async def test_what_cannot_be_redriven_stays_and_is_told(filled, clock, capsys):
    clock.advance(7200)  # Until the id is accepted again.
    await filled.queue("orders-of-a-shop-with-a-long-name").send([Message("o1", b"again")])
    assert await move_letters("redrive", filled, words=["o1", "files:in e1"], queue=None) == 1
    shown = capsys.readouterr()
    assert (
        shown.out
        == "orders-of-a-shop-with-a-long-name: 0 dead letters redriven\nfunction:count: 1 dead letter redriven\n"
    )
    assert shown.err == "1 of them stay: their queue has a message of the same id, or they were gone\n"
    assert len(await letters(filled, "orders-of-a-shop-with-a-long-name")) == 1


async def test_a_word_that_names_none_or_several(filled, engine):
    with pytest.raises(UsageError, match="there is no dead letter 'x': `fnframe dlq list` names them"):
        await show_letter(filled, word="x", queue=None, as_json=False)
    with pytest.raises(UsageError, match="there is no dead letter ''"):
        await show_letter(filled, word="", queue=None, as_json=False)
    for number in range(40):
        await bury(filled, "many", f"m{number}", b"1", "x", None)
    with pytest.raises(UsageError, match=r"names \d+ dead letters: \w{8}, "):
        for digit in "0123456789abcdef":
            await show_letter(filled, word=digit, queue=None, as_json=False)


async def test_there_may_be_more_than_are_asked_for_at_once(engine, capsys, monkeypatch):
    monkeypatch.setattr("fnframe.cli.letters.PAGE", 7)
    for number in range(20):
        await bury(engine, "many", f"m{number}", b"1", "x", None)
    assert [found.letter.message.id for found in await letters(engine, None)] == [f"m{number}" for number in range(20)]
    assert await move_letters("redrive", engine, words=[], queue="many") == 0
    assert capsys.readouterr().out == "many: 20 dead letters redriven\n"
    with anyio.fail_after(5):
        assert len(await engine.queue("many").receive(100, 60)) == 20
