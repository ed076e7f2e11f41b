"""docs/coming-from-lambda.md: its examples are run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import fnframe_lambda.spec
from fnframe_lambda.provider import LambdaEnvironments

from fnframe.runtime.config import load_settings

TEXT = (Path(__file__).parents[3] / "docs" / "coming-from-lambda.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, re.DOTALL)
HANDLER = "def handler(event, context):\n    return {'table': __import__('os').environ['TABLE']}\n"


def block(language, word):
    [found] = [text for kind, text in BLOCKS if kind == language and word in text]
    return found


def test_the_declarations_are_what_they_look_like(tmp_path):
    namespace = {}
    exec(block("python", "lambda_function"), namespace)  # noqa: S102  the example under test
    functions = {function.name: function for function in namespace["app"].manifest().functions}
    assert functions["orders"].memory == 256
    assert fnframe_lambda.spec.spec_of(functions["resize"]).code == "build/resize.zip"
    (tmp_path / "fnframe.toml").write_text(block("toml", "[lambda.functions.orders]"))
    provider = LambdaEnvironments()
    settings = load_settings(tmp_path, {"lambda": provider.Settings}, environ={}).tables["lambda"]
    [declared] = provider.functions(settings, tmp_path)
    assert (declared.name, declared.variables) == ("orders", functions["orders"].variables)


def test_the_fixture_serves_the_app_to_a_test_suite(tmp_path):
    first = block("python", "lambda_function").splitlines()
    keep = [line for line in first if "resize" not in line and "notify" not in line]
    (tmp_path / "app.py").write_text("\n".join(keep))
    (tmp_path / "orders.py").write_text(HANDLER)
    (tmp_path / "pyproject.toml").write_text(block("toml", "lambda_target"))
    assert tomllib.loads(block("toml", "lambda_target"))["tool"]["pytest"]["ini_options"]["lambda_target"] == "app.py"
    (tmp_path / "test_orders.py").write_text(
        "import io, zipfile\n\n"
        "def archive_of(name):\n"
        "    buffer = io.BytesIO()\n"
        "    with zipfile.ZipFile(buffer, 'w') as archive:\n"
        "        archive.writestr(name, 'def handler(event, context):\\n    return \"hello \" + event\\n')\n"
        "    return buffer.getvalue()\n\n"
        + block("python", "create_function")
        + "\n"
        + block("python", "monkeypatch")
        + "\n    import boto3\n    boto3.setup_default_session(region_name='us-east-1', aws_access_key_id='a',"
        " aws_secret_access_key='b')\n"
        "    answer = boto3.client('lambda').invoke(FunctionName='orders')\n"
        "    assert answer['Payload'].read() == b'{\"table\": \"orders\"}'\n"
        "    assert any('Invoke API at' in line for line in lambda_endpoint.log)\n"
    )
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("AWS_", "PYTEST_", "FNFRAME_"))}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "."]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert not (tmp_path / ".fnframe" / "engine.db").exists(), "nothing is left to the next session"
