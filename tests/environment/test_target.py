"""Which app is meant: every form of a target, what is refused with a hint, and what is never imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fnframe import ConfigurationError
from fnframe.environment.target import directory_of, load_app

APP = "from fnframe import App\napp = App({name!r})\n"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A working directory of its own; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(sys.modules)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if before.get(name) is not module:
            sys.modules.pop(name)
    sys.modules.update(before)


@pytest.fixture
def write(place):
    def write(name: str, source: str = "") -> Path:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return path

    return write


def named(name: str) -> str:
    return APP.format(name=name)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("shop_one.py", "one"),
        ("./shop_one.py", "one"),
        ("shop_one.py:app", "one"),
        ("shop_one", "one"),
        ("shop_one:app", "one"),
        ("folder_one", "in a folder"),
        ("folder_one/", "in a folder"),
        ("./folder_one", "in a folder"),
        ("folder_one/app.py", "in a folder"),
        ("folder_one/app.py:app", "in a folder"),
        (".", "here"),
        ("package_one:app", "of the package"),
        ("package_one.web:app", "of a module"),
        ("package_one.inner:app", "of a package inside"),
        ("package_one.inner.deep:app", "deep"),
        ("package_one/web.py", "of a module"),
    ],
)
def test_every_form(write, place, target, name):
    write("shop_one.py", named("one"))
    write("app.py", named("here"))
    write("folder_one/app.py", named("in a folder"))
    write("package_one/__init__.py", named("of the package"))
    write("package_one/web.py", named("of a module"))
    write("package_one/inner/__init__.py", named("of a package inside"))
    write("package_one/inner/deep.py", named("deep"))
    found = directory_of(target)
    app = load_app(target)
    assert app.name == name
    assert app.directory == found, "fnframe.toml is looked for beside the app"
    assert found.is_absolute()


def test_an_absolute_path_and_one_with_a_space(write):
    path = write("a folder/my app.py", named("spaced"))
    for target in (str(path), "a folder/my app.py", f"{path}:app"):
        assert load_app(target).name == "spaced"
        assert directory_of(target) == path.parent


def test_modules_beside_the_app_are_found(write):
    write("shop_two/settings_two.py", "NAME = 'beside'")
    write("shop_two/app.py", "from settings_two import NAME\nfrom fnframe import App\napp = App(NAME)\n")
    assert load_app("shop_two").name == "beside"


def test_a_package_may_use_its_own_modules(write):
    write("package_two/__init__.py")
    write("package_two/names.py", "NAME = 'relative'")
    write("package_two/web.py", "from .names import NAME\nfrom fnframe import App\napp = App(NAME)\n")
    assert load_app("package_two.web:app").name == "relative"


def test_a_factory_is_called(write):
    write("factory_one.py", "from fnframe import App\ndef create_app():\n    return App('made')\nnot_one = 5\n")
    assert load_app("factory_one:create_app").name == "made"
    assert load_app("factory_one.py:create_app").name == "made"


def test_a_name_that_one_of_several_has(write):
    write("several_one.py", "from fnframe import App\nfirst = App('1')\nsecond = App('2')\nalias = first\n")
    assert load_app("several_one:second").name == "2"
    assert load_app("several_one.py:first").name == "1"
    assert load_app("several_one", "2").name == "2"
    with pytest.raises(ConfigurationError, match="defines no App named '3' at its top level"):
        load_app("several_one", "3")


def test_several_apps_say_which(write):
    write("several_two.py", "from fnframe import App\nfirst = App('1')\nsecond = App('2')\n")
    for target in ("several_two", "several_two.py"):
        with pytest.raises(ConfigurationError) as caught:
            load_app(target)
        assert f"{target} holds several apps (first, second): say which, as {target}:NAME" in str(caught.value)
        assert load_app(f"{target}:first").name == "1"


def test_several_apps_in_a_folder_say_a_target_that_works(write):
    write("folder_two/app.py", "from fnframe import App\nfirst = App('1')\nsecond = App('2')\n")
    with pytest.raises(ConfigurationError, match="holds several apps") as caught:
        load_app("folder_two")
    advice = str(caught.value).rpartition("say which, as ")[2]
    assert load_app(advice.replace("NAME", "second")).name == "2"


def test_one_app_under_two_names_is_one(write):
    write("alias_one.py", "from fnframe import App\nfirst = App('1')\nagain = first\n")
    assert load_app("alias_one").name == "1"


def test_an_app_that_is_imported_counts(write):
    write("parts_one.py", named("elsewhere"))
    write("imports_one.py", "from parts_one import app\n")
    assert load_app("imports_one.py").name == "elsewhere"


FORMS = "a target is 'module:app', 'path/to/app.py' or a folder that holds app.py"


@pytest.mark.parametrize("load", [directory_of, load_app])
@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nothing.py", "no file 'nothing.py' from "),
        ("nothing.py:app", "no file 'nothing.py' from "),
        ("no/such/folder", "no file 'no/such/folder' from "),
        ("empty_one", "the folder empty_one holds no app.py"),
        (".", "holds no app.py"),
        ("", "the target is empty"),
        ("empty_one/readme.txt", "empty_one/readme.txt is no Python file"),
        ("readme.txt", "readme.txt is no Python file"),
    ],
)
def test_no_file_or_folder_is_refused_with_the_forms_of_a_target(write, load, target, words):
    write("empty_one/readme.txt")
    write("readme.txt")
    with pytest.raises(ConfigurationError) as caught:
        load(target)
    assert words in str(caught.value)
    assert FORMS in str(caught.value)


@pytest.mark.parametrize(
    "target", ["nothing_at_all:app", "nothing_at_all", "package_three.nothing:app", ":app", ".relative:app"]
)
def test_no_module_is_refused_with_the_forms_of_a_target(write, target):
    """Before anything is imported: the template would only tell of its own `import`."""
    write("package_three/__init__.py")
    with pytest.raises(ConfigurationError) as caught:
        directory_of(target)
    assert f"no file, folder or module {target!r} from {Path.cwd()}" in str(caught.value)
    assert FORMS in str(caught.value)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("names_one:ap", ["names_one:ap: there is no 'ap', did you mean 'app'?; apps here: app, other"]),
        ("names_one:number", ["expected names_one:number to be an App", "found 5", "apps here: app, other"]),
        ("names_one:makes_five", ["expected names_one:makes_five to be an App", "found one that returns 5"]),
        ("names_one:needs", ["a function that takes nothing and returns one, found one that takes (where)"]),
        (
            "names_one:order",
            [
                "names_one.py:8: names_one:order is the function 'order' of an app",
                "names the app: names_one:app",
                "`fnframe invoke names_one:app order`",
            ],
        ),
        ("names_two:app", ["names_two:app: there is no 'app'; apps here: none"]),
        ("names_two", ["names_two defines no App at its top level", "app = App(...)", "'module:create_app'"]),
        ("names_two.py", ["names_two.py defines no App at its top level"]),
    ],
)
def test_a_wrong_name_says_what_is_there(write, target, words):
    source = "from fnframe import App\napp = App('a')\nother = App('b')\nnumber = 5\ndef makes_five(): return 5\n"
    source += "def needs(where): return app\n\n@app.function()\ndef order(event): return event\n"
    write("names_one.py", source)
    write("names_two.py")
    with pytest.raises(ConfigurationError) as caught:
        load_app(target)
    for word in words:
        assert word in str(caught.value)


def test_what_the_import_raises_is_raised(write):
    write("raises_one.py", "1 / 0\n")
    write("raises_two.py", "import no_such_module_here\n")
    with pytest.raises(ZeroDivisionError):
        load_app("raises_one.py")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_here"):
        load_app("raises_two:app")


def test_an_import_that_failed_may_be_tried_again(write):
    """As with any import: a module whose import failed is none, and is not taken for an empty one next time."""
    path = write("mended_one.py", "from fnframe import App\n1 / 0\napp = App('mended')\n")
    with pytest.raises(ZeroDivisionError):
        load_app("mended_one.py")
    path.write_text(named("mended"))
    assert load_app("mended_one.py").name == "mended"


def test_the_folder_is_found_without_importing(write):
    source = "raise SystemExit('imported')\n"
    for name in ("never_one.py", "never_two/app.py", "never_three/web.py", "never_three/__init__.py"):
        write(name, source)
    before, path = set(sys.modules), list(sys.path)
    for target in ("never_one", "never_one.py", "never_two", "never_three:app", "never_three.web:app"):
        assert directory_of(target).is_dir()
    assert {name for name in set(sys.modules) - before if name.startswith("never")} == set()
    assert sys.path == path


def test_a_file_that_has_the_name_of_a_loaded_module(write):
    """`code.py` and `app.py` are good names for an app, and somebody else's module may have them already."""
    import code

    write("code.py", named("not the standard library's"))
    write("one/app.py", named("one"))
    write("two/app.py", named("two"))
    assert load_app("code.py").name == "not the standard library's"
    assert sys.modules["code"] is code
    assert [load_app(folder).name for folder in ("one", "two", "one", "two")] == ["one", "two", "one", "two"]


def test_the_same_file_is_imported_once(write):
    write("once_one.py", "from fnframe import App\nimport builtins\napp = App('once')\n")
    assert load_app("once_one.py") is load_app("once_one.py")
    assert load_app("once_one:app") is load_app("once_one.py")


def test_anew_gets_the_code_as_it_is_now(write):
    write("anew_one/parts_two.py", "NAME = 'before'\n")
    write("anew_one/app.py", "from parts_two import NAME\nfrom fnframe import App\napp = App(NAME)\n")
    assert load_app("anew_one").name == "before"
    # Another length, so that a cached byte code of the same second does not pass for it.
    write("anew_one/parts_two.py", "NAME = 'afterwards'\n")
    assert load_app("anew_one").name == "before"
    assert load_app("anew_one", anew=True).name == "afterwards"


def test_anew_leaves_what_is_installed_inside_the_folder(write, place, monkeypatch):
    """A project keeps its virtual environment beside its app: forgetting all that lies below the folder forgot
    msgspec, anyio and fnframe itself, and the app that came back was none of ours."""
    write("project_one/.venv/lib/python3/site-packages/installed_one.py", "VALUE = object()\n")
    write("project_one/app.py", "import installed_one\nfrom fnframe import App\napp = App('p')\n")
    monkeypatch.syspath_prepend(str(place / "project_one/.venv/lib/python3/site-packages"))
    load_app("project_one")
    installed = sys.modules["installed_one"]
    load_app("project_one", anew=True)
    assert sys.modules["installed_one"] is installed


MAIN = """
import sys
from fnframe import App
app = App("program")

@app.function()
def where():
    return __name__

print("imported", __name__, flush=True)
if __name__ == "__main__":
    with app.run_in_thread() as running:
        print("answer", running.invoke("where").unwrap(), flush=True)
"""


@pytest.mark.parametrize(
    ("name", "arguments", "module"),
    [
        ("program_one.py", ["program_one.py"], "program_one"),
        ("program_two/__main__.py", ["program_two"], "__fnframe_main__"),
        ("program_three/__main__.py", ["-m", "program_three"], "__fnframe_main__"),
    ],
)
def test_what_a_program_guards_runs_once(write, place, name, arguments, module):
    """The template imports the file that the host was started as, but it is no program there."""
    write(name, MAIN)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=place, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("imported", "answer"))]
    assert lines.count("imported __main__") == 1
    assert [line for line in lines if line.startswith("answer")] == [f"answer {module}"]


def test_a_main_file_is_imported_under_a_name_of_its_own(write):
    write("program_four/__main__.py", "from fnframe import App\napp = App(__name__)\n")
    main = sys.modules["__main__"]
    assert load_app("program_four/__main__.py").name == "__fnframe_main__"
    assert sys.modules["__main__"] is main
