"""The README's examples and commands are run, and print what it says they print."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()

AGENT = '''
import json

class Agent:
    """A small loop with a coroutine; it never trims."""

    def __init__(self, ask, tools):
        self.ask, self.tools, self.history = ask, tools, []

    async def send(self, text):
        if not text.strip() or not text.isprintable() and "\\0" in text:
            raise ValueError("say something")
        self.history.append({"role": "user", "content": text})
        try:
            while (reply := await self.ask(self.history)).get("tool_calls"):
                self.history.append(reply)
                await self.run(reply["tool_calls"])
        except Exception as error:
            reply = {"role": "assistant", "content": f"The model failed: {error}"}
        self.history.append(reply)
        return reply["content"]

    async def run(self, calls):
        results = ["not run" for _ in calls]
        try:
            for number, call in enumerate(calls):
                results[number] = "cancelled"
                results[number] = await self.one(call)
        finally:
            for call, result in zip(calls, results):
                self.history.append({"role": "tool", "tool_call_id": call["id"], "content": result})

    async def one(self, call):
        name = call["function"]["name"]
        try:
            arguments = json.loads(call["function"]["arguments"] or "{}")
            if name not in self.tools or not isinstance(arguments, dict):
                return "no such call"
            if self.tools[name].category == "destructive":
                if not self.tools.approve(call["id"], name, call["function"]["arguments"]):
                    return "denied"
            return str(await self.tools[name].arun(arguments))
        except Exception as error:
            return f"failed: {error}"
'''


def block(name: str) -> str:
    """Return the README's code block whose first line is the comment *name*."""
    found = re.search(rf"```python\n# {re.escape(name)}\n(.*?)```", README, re.DOTALL)
    assert found, f"README.md has no code block that starts with '# {name}'"
    return found.group(1)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project with the files of the README."""
    (tmp_path / "my_agent.py").write_text(AGENT)
    for name in ("my_app.py", "test_my_app.py", "test_my_agent.py"):
        (tmp_path / name).write_text(block(name))
    return tmp_path


def run_pytest(project: Path, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "looprig.pytest_plugin", name]
    # Plugins of our own development environment are not those of a user's.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120, env=environment)


@pytest.mark.parametrize("name", ["test_my_app.py", "test_my_agent.py"])
def test_ten_lines(name: str):
    """
    A user's whole test file has at most ten lines of code.
    """
    assert len([line for line in block(name).splitlines() if line.strip()]) <= 10


def test_sync_example(project: Path):
    """
    The function-style loop of the README fails as the README says, and the failure can be replayed.
    """
    done = run_pytest(project, "test_my_app.py")

    assert done.returncode == 1
    shown = re.search(r"```text\n(LR102 .*?)```", README, re.DOTALL)
    assert shown
    for line in shown.group(1).splitlines():
        assert line.strip() in done.stdout
    assert "replay with: looprig run long_tool_chain --seed 1 --loop test_my_app:make_loop" in done.stdout


def test_sync_example_replay(project: Path):
    """
    The replay line of the README's failure reproduces it from the command line.
    """
    line = re.search(r"replay with: looprig (.*)", run_pytest(project, "test_my_app.py").stdout)
    assert line
    command = [sys.executable, "-m", "looprig", *shlex.split(line.group(1))]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)

    assert done.returncode == 1
    assert "LR102" in done.stdout


def test_async_example(project: Path):
    """
    The ten lines for a loop with a coroutine pass for a correct loop.
    """
    done = run_pytest(project, "test_my_agent.py")

    assert done.returncode == 0, done.stdout


def test_async_example_on_the_command_line(project: Path):
    """
    The same factory is found by the command line.
    """
    command = [sys.executable, "-m", "looprig", "run", "--loop", "test_my_agent:make_loop", "--no-traces"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED" in done.stdout


def test_client_over_http(tmp_path: Path):
    """
    The client of the README is refused over HTTP as the README shows it.
    """
    (tmp_path / "my_client.py").write_text(block("my_client.py"))
    shown = re.search(r"```text\n(✗ C1 .*?)```", README, re.DOTALL)
    assert shown
    command = [sys.executable, "-m", "looprig", "serve", "model", "--scenario", "parallel_tools"]

    done = subprocess.run(
        [*command, "--", sys.executable, "my_client.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )

    assert 1 == done.returncode
    assert shown.group(1) in done.stdout


def shown_commands() -> list[tuple[str, str]]:
    """Return each looprig command of the README with the output that is printed under it."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    chunks = [chunk for text in blocks for chunk in re.split(r"^\$ ", text, flags=re.MULTILINE) if chunk]
    pairs = [chunk.partition("\n") for chunk in chunks]
    return [(command, output) for command, _, output in pairs if command.startswith("looprig ")]


@pytest.mark.parametrize(("command", "output"), shown_commands())
def test_commands(tmp_path: Path, command: str, output: str):
    """
    Each command of the README prints what the README shows under it.
    """
    words = [sys.executable, "-m", *shlex.split(command), "--no-traces"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    assert done.returncode in (0, 1), done.stderr
    for line in output.splitlines():
        assert line == "..." or line in done.stdout
