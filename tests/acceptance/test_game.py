"""examples/game as a user runs it: players who move at once, a leaderboard that is right, opponents, and the page."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import httpx2 as httpx
import pytest

PLAYERS, MOVES = 20, 10


@pytest.fixture
def game(example, start):
    """The folder, the running command and a client of it."""
    folder = example("game")
    run = start("run", "game", "--port", "0", "--log-format", "text", "--set", "retry_base=0.05")
    url = re.search(r"http://[\d.]+:\d+", run.read_until("move: POST"))[0]
    # Its log goes on: a pipe that nobody empties would stop it.
    reader = Thread(target=run.process.stdout.read, daemon=True)
    reader.start()
    with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
        yield folder, client
    run.process.terminate()
    assert run.process.wait(20) == 0
    reader.join(20)


def until(fact):
    """Ask until the answer is something; fail after twenty seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if found := fact():
            return found
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def board_of(folder):
    spec = importlib.util.spec_from_file_location("game_board", folder / "board.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_move_counts_once(game):
    folder, client = game
    treasure = board_of(folder).treasure
    found = Counter()

    def play(player):
        points = 0
        for number in range(MOVES):
            place = {"x": number, "y": player % 16}
            answer = client.post("/moves", json={"player": f"p{player}", **place}).json()
            assert answer["points"] == treasure(**place)
            points += answer["points"]
        return f"p{player}", points

    with ThreadPoolExecutor(PLAYERS) as players:
        found.update(dict(players.map(play, range(PLAYERS))))
    best = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:10]
    expected = [{"player": player, "points": points, "moves": MOVES} for player, points in best]
    until(lambda: client.get("/leaderboard").json() == expected)


def test_players_find_opponents_and_the_one_who_is_left_over_waits(game):
    _, client = game
    names = ["ada", "ben", "eva"]
    for name in names:
        assert client.post("/matches", json={"player": name}).status_code == 202

    def opponents():
        return {name: other for name in names if (other := client.get(f"/matches/{name}").json()["opponent"])}

    until(lambda: len(opponents()) >= 2)
    for name, other in opponents().items():
        assert opponents()[other] == name
    assert client.post("/matches", json={"player": "max"}).status_code == 202
    until(lambda: client.get("/matches/max").json()["opponent"])
    names.append("max")
    assert sorted(opponents()) == ["ada", "ben", "eva", "max"]


def test_what_is_no_move_is_refused(game):
    _, client = game
    for move in ({"player": "p", "x": 16, "y": 0}, {"player": "<b>", "x": 0, "y": 0}, {"player": "p"}):
        assert client.post("/moves", json=move).status_code == 400
    assert client.get("/leaderboard").json() == []


def test_the_page_and_the_load_script(game):
    folder, client = game
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "repeat(16, 1.6rem)" in page.text
    assert "SIZE" not in page.text
    command = [
        sys.executable,
        str(folder / "load.py"),
        "--url",
        str(client.base_url),
        "--players",
        "10",
        "--seconds",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    moves = int(re.match(r"(\d+) moves, \d+ a second: half within [\d.]+ ms", done.stdout)[1])
    assert moves > 0
    until(lambda: sum(each["moves"] for each in client.get("/leaderboard").json()) == moves)
