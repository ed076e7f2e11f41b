"""`fnframe dev`: what a person sees while writing an app."""

from __future__ import annotations

import os
import re
import signal
import threading


def knock(demo, text):
    pipe = os.open(demo / "pipe", os.O_WRONLY)
    os.write(pipe, text)
    os.close(pipe)


def test_it_shows_the_app_each_invocation_and_errors(start, demo):
    (demo / "app.py").write_text(
        (demo / "app.py").read_text().replace("    return event\n", "    return talk(event)\n")
    )
    dev = start("dev", "demo")
    dev.read_until("watching demo; Ctrl-C ends")
    assert "demo: 7 functions\n" in dev.lines
    assert any(re.match(r"  door +128 MB +3 s  lines written to pipe\n", line) for line in dev.lines)
    assert any(re.match(r"  echo +128 MB +3 s  no trigger\n", line) for line in dev.lines)
    knock(demo, b"1")
    dev.read_until("  door | to standard output")
    line = dev.read_until(" ok ")
    assert re.match(r"\d\d:\d\d:\d\d ok +\d.* ms +\d+/128 MB  (warm|cold \d.* ms) +door\n", line)
    assert dev.end(signal.SIGINT) == 130
    assert re.match(r"\d\d:\d\d:\d\d ended\n", dev.lines[-1])
    assert "Traceback" not in "".join(dev.lines)


def test_in_few_columns_a_line_says_first_whose_it_is(start, demo):
    app = (
        (demo / "app.py").read_text().replace("@app.function(Knock())", "@app.function(Knock(), name='the-front-door')")
    )
    (demo / "app.py").write_text(app)
    dev = start("dev", "demo", environ={"COLUMNS": "40"})
    dev.read_until("watching")
    place = dev.lines.index("  the-front-door  128 MB  3 s\n")
    assert dev.lines[place + 1] == "    lines written to pipe\n"
    knock(demo, b"1")
    assert re.match(r"\d\d:\d\d:\d\d ok  the-front-door\n", dev.read_until(" ok "))
    assert re.match(r"  \d.* ms  \d+/128 MB  (warm|cold \d.* ms)\n", dev.read_until("MB"))
    assert dev.end(signal.SIGINT) == 130
    assert max(map(len, dev.lines)) <= 41


def test_it_shows_what_a_filter_does_not_let_through(start, demo):
    app = (demo / "app.py").read_text().replace("Knock())", "Knock(filter={'data': ['open']}))")
    (demo / "app.py").write_text(app)
    dev = start("dev", "demo")
    dev.read_until("watching")
    knock(demo, b"7")
    assert re.match(r"\d\d:\d\d:\d\d filtered  door  7\n", dev.read_until("filtered"))
    knock(demo, b'"open"')
    dev.read_until(" ok ")
    assert dev.end(signal.SIGINT) == 130


def test_names_that_are_no_text_do_not_end_the_watch(start, demo):
    """Of files that anybody may have put into a folder which the app watches."""
    app = demo / "app.py"
    dev = start("dev", "demo")
    dev.read_until("watching")
    (demo / os.fsdecode(b"caf\xe9")).write_text("x")
    seen = threading.Event()

    def change():
        # Until it is watched anew, a change may be missed.
        while not seen.wait(0.5):
            app.write_text(app.read_text() + "# changed\n")

    changing = threading.Thread(target=change)
    changing.start()
    try:
        dev.read_until("reloaded in ")
    finally:
        seen.set()
        changing.join()
    assert dev.end(signal.SIGINT) == 130


def test_at_its_end_it_says_what_it_waits_for(start, demo):
    app = (demo / "app.py").read_text().replace("Knock())", "Knock(), timeout=600)")
    asleep = "    print('asleep', flush=True)\n    time.sleep(600)\n"
    (demo / "app.py").write_text(app.replace("    return event\n", asleep))
    dev = start("dev", "demo", "--set", "grace=600")
    dev.read_until("watching")
    knock(demo, b"1")
    dev.read_until("door | asleep")
    dev.process.send_signal(signal.SIGINT)
    dev.read_until("ending: 1 invocation may take 600 s to finish; Ctrl-C again ends all at once")
    assert dev.end(signal.SIGINT) == 130
    assert dev.lines[-1].endswith(" ended\n")


def test_a_limit_that_ended_an_invocation_is_named_with_its_parameter(start, demo):
    app = (demo / "app.py").read_text().replace("Knock())", "Knock(), timeout=0.2)")
    (demo / "app.py").write_text(app.replace("    return event\n", "    time.sleep(600)\n"))
    dev = start("dev", "demo")
    dev.read_until("watching")
    knock(demo, b"1")
    dev.read_until("  out of time: raise `timeout=` of door, now 0.2 (seconds)\n")
    assert dev.end(signal.SIGINT) == 130


def test_a_change_swaps_the_code_and_a_mistake_leaves_it(start, demo):
    app = demo / "app.py"
    source = app.read_text()
    dev = start("dev", "demo")
    dev.read_until("watching")
    app.write_text(source.replace("def door(event):", "def door(event):\n    print('changed')"))
    dev.read_until("reloaded in ")
    app.write_text(source + "def broken(:\n")
    dev.read_until("error: demo/app.py:")
    dev.read_until("| def broken(:")
    dev.read_until("still serving the code from before")
    knock(demo, b"1")
    dev.read_until("door | changed")
    app.write_text(source.replace("def door(event):", "def door(event):\n    raise KeyError('missing')"))
    dev.read_until("reloaded in ")
    knock(demo, b"2")
    dev.read_until(" failed ")
    dev.read_until("  KeyError: 'missing'")
    assert "demo/app.py" in dev.read_until("in door")
    assert dev.end(signal.SIGINT) == 130


def test_settings_and_plugins_are_read_anew(start, demo):
    dev = start("dev", "demo")
    dev.read_until("watching")
    (demo / "fnframe.toml").write_text("[knock]\npip = 'other'\n")
    dev.read_until("did you mean 'knock.pipe'?")
    dev.read_until("not serving")
    (demo / "fnframe.toml").write_text("[knock]\npipe = 'other'\n")
    dev.read_until("lines written to other")
    assert dev.end(signal.SIGTERM) == 128 + signal.SIGTERM
