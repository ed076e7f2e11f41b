"""The process that imports the app: what it says while it does, and that it never outlives its host."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time

import pytest

from fnframe.environment.wire import NotImported, Reader

QUICK_TO_TELL = """
import sys
from fnframe.environment import template_process
template_process.LONG_IMPORT = 1.0  # A busy machine has come to where the app waits by then.
template_process.main()
"""


@pytest.fixture
def start(write_app):
    """Start a template as a host does; the process, and the host's end of its control socket."""
    processes = []

    def start(source, name="app.py", stderr=None):
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-P", "-c", QUICK_TO_TELL, str(theirs.fileno()), "auto", write_app(source, name)]
        process = subprocess.Popen(command, pass_fds=[theirs.fileno()], stderr=stderr, text=True)
        theirs.close()
        processes.append((process, ours))
        return process, ours

    yield start
    for process, ours in processes:
        process.kill()
        process.wait()
        ours.close()
        if process.stderr is not None:
            process.stderr.close()


def test_an_import_that_hangs_says_where(start, tmp_path):
    source = "import time\ndef connect():\n    time.sleep(60)\n\nconnect()\n"
    process, _ = start(source, stderr=subprocess.PIPE)
    line = process.stderr.readline()
    assert line == f"fnframe: importing {tmp_path}/app.py takes long; it is at {tmp_path}/app.py:3\n"
    assert process.poll() is None


def test_a_template_that_still_imports_ends_with_its_host(start, tmp_path):
    process, host = start(f"import time\nopen({str(tmp_path / 'imports')!r}, 'w').close()\ntime.sleep(60)\n")
    while not (tmp_path / "imports").exists():
        time.sleep(0.001)
    host.close()
    assert process.wait(10) == -signal.SIGIO


def test_a_file_that_runs_its_app_is_refused_at_the_line(start, tmp_path):
    source = "from fnframe import App\napp = App('a')\nwith app.run_in_thread() as running:\n    pass\n"
    _, host = start(source)
    told = Reader().feed(host.recv(65536))[0]
    assert isinstance(told, NotImported)
    assert told.where == f"{tmp_path}/app.py:3"
    assert 'put it under `if __name__ == "__main__":`' in told.message


@pytest.mark.parametrize("folder", ["anyio", "asyncio", "trio"])
def test_an_app_may_lie_in_a_folder_of_any_name(start, tmp_path, folder):
    (tmp_path / folder).mkdir()
    _, host = start("def load():\n    raise ValueError('no way')\nload()\n", f"{folder}/app.py")
    told = Reader().feed(host.recv(65536))[0]
    assert told.where == f"{tmp_path}/{folder}/app.py:2"
    assert told.traceback.count("File ") == 2


def test_a_librarys_error_is_told_at_the_apps_line(start, tmp_path):
    """Also where the library lies in a folder that is no installed one, as an editable one does."""
    (tmp_path / "elsewhere").mkdir()
    library = tmp_path / "elsewhere" / "library.py"
    library.write_text("def configure(word):\n    raise ValueError(f'no {word}')\n")
    (tmp_path / "shop").mkdir()
    source = f"import sys\nsys.path.append({str(library.parent)!r})\nimport library\nlibrary.configure('way')\n"
    _, host = start(source, "shop/app.py")
    told = Reader().feed(host.recv(65536))[0]
    assert (told.error_type, told.message, told.where) == ("ValueError", "no way", f"{tmp_path}/shop/app.py:4")
