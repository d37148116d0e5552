"""A throw-away git repository with a loop under test, and `looprig gate` in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from looprig.cli import cli

APP = '''\
import json


class Loop:
    """A loop that keeps everything; CUT and NOTE are its faults."""

    CUT = None
    NOTE = ""
    contract = {"notes": ("hint:",)}

    def __init__(self, model, tools):
        self.model, self.tools, self.history = model, tools, []

    def add_system(self, text):
        self.history.append({"role": "system", "content": text})

    def send(self, text):
        self.history.append({"role": "user", "content": text})
        while (reply := self.ask()).get("tool_calls"):
            self.history.append(reply)
            for call in reply["tool_calls"]:
                result = self.tools[call["function"]["name"]].run(json.loads(call["function"]["arguments"]))
                self.history.append({"role": "tool", "tool_call_id": call["id"], "content": str(result)})
        self.history.append(reply)
        return reply["content"]

    def ask(self):
        sent = self.history[-self.CUT :] if self.CUT else self.history
        if self.NOTE:
            sent = [{"role": "system", "content": self.NOTE}, *sent]
        return self.model.complete(sent)


def make_loop(model, tools):
    return Loop(model, tools)
'''

CONFIGURATION = """\
[tool.looprig]
loop = "app:make_loop"
scenarios = [{ name = "long_tool_chain", set = { rounds = 20 } }, { name = "parallel_tools", set = { turns = 5 } }]
baseline = "baseline.json"
"""

OUTPUTS = ("json", "junit", "github", "markdown", "summary")


@dataclass(frozen=True)
class Done:
    """A gate that ran: its exit code, what it printed, and the files that it wrote, by format."""

    code: int
    printed: str
    complained: str
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Repository:
    """The repository's folder."""

    folder: Path

    @classmethod
    def new(cls, folder: Path) -> Repository:
        """Make one with the loop, its configuration, a baseline that the loop itself made, and a commit."""
        made = cls(folder)
        made.git("init", "--quiet")
        made.write("app.py", APP)
        made.write("pyproject.toml", CONFIGURATION)
        assert 0 == made.gate("--baseline", "none", "--output", "json=baseline.json", outputs=()).code
        made.git("add", "--all")
        made.git("commit", "--quiet", "--message", "a loop that works")
        return made

    def git(self, *words: str) -> None:
        """Run git with an author of its own, whatever this machine is set to."""
        author = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *author, *words], cwd=self.folder, check=True, capture_output=True)

    def state(self) -> tuple[str, ...]:
        """Return what git says of HEAD, the index, the files, and the work trees."""
        asked = (
            ("rev-parse", "HEAD"),
            ("ls-files", "--stage"),
            ("status", "--porcelain", "--", "app.py"),
            ("worktree", "list"),
        )
        return tuple(
            subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True, text=True).stdout
            for words in asked
        )

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        (self.folder / name).write_text(text)

    def edit(self, name: str, old: str, new: str) -> None:
        """Put *new* in the place of *old*, which must be there."""
        text = (self.folder / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new, 1))

    def gate(self, *words: str, outputs: tuple[str, ...] = OUTPUTS) -> Done:
        """Run ``looprig gate`` as a CI does, with a file for each format."""
        given = self._outputs(outputs)
        done = subprocess.run(
            [sys.executable, "-m", "looprig", "gate", *words, *given],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LOOPRIG_STORE": ".looprig/history.db"},
        )
        return Done(done.returncode, done.stdout, done.stderr, self._files(outputs))

    def gate_here(self, *words: str, outputs: tuple[str, ...] = OUTPUTS) -> Done:
        """Do the same in this process, which is much quicker, and leave no trace in it."""
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "path", [str(self.folder), *sys.path])
            patch.setenv("LOOPRIG_STORE", ".looprig/history.db")
            patch.setattr(sys, "dont_write_bytecode", True)
            patch.setitem(sys.modules, "app", None)
            del sys.modules["app"]
            done = CliRunner().invoke(cli, ["gate", *words, *self._outputs(outputs)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return Done(done.exit_code, done.stdout, done.stderr, self._files(outputs))

    def _outputs(self, layouts: tuple[str, ...]) -> list[str]:
        there = self.folder / "out"
        shutil.rmtree(there, ignore_errors=True)  # a step's summary is added to, and each step has a file of its own
        return [word for layout in layouts for word in ("--output", f"{layout}={there / layout}")]

    def _files(self, layouts: tuple[str, ...]) -> dict[str, str]:
        paths = {layout: self.folder / "out" / layout for layout in layouts}
        return {layout: path.read_text() for layout, path in paths.items() if path.exists()}
