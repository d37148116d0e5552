"""What `looprig init` writes: the configuration, an adapter that works, one test, a CI file. Nothing is overwritten."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from looprig.gate.config import FILE, TABLE, ConfigError

ADAPTER = Path("looprig_loop.py")
TEST = Path("tests/test_looprig.py")
WORKFLOW = Path(".github/workflows/looprig.yml")
STAND_IN = "looprig_loop:make_loop"

What = Literal["created", "added", "kept"]


@dataclass(frozen=True, slots=True)
class Written:
    """A file, and what became of it: created, a table added to it, or kept as it was."""

    path: Path
    what: What


def init(folder: Path, loop: str | None = None, *, dry: bool = False) -> list[Written]:
    """Write what is not there yet below *folder*, and say of each file what became of it.

    With *loop*, the text form of a loop that exists, no adapter is written. *dry* writes nothing.

    Raises:
        ConfigError: where pyproject.toml is no TOML, or has a ``[tool]`` that no table can be added to.
        OSError: where a file cannot be written.
    """
    spec = loop or STAND_IN
    # The configuration comes first: what is wrong there is said before anything is written.
    configuration = _configuration(folder / FILE, CONFIGURATION.format(loop=_quoted(spec)))
    files = [(TEST, TEST_TEXT.format(loop=_quoted(spec))), (WORKFLOW, _workflow(folder))]
    if loop is None:
        files.insert(0, (ADAPTER, ADAPTER_TEXT))
    return [configuration(dry), *(_file(folder, path, text, dry) for path, text in files)]


def _file(folder: Path, path: Path, text: str, dry: bool) -> Written:
    kept = _there(folder / path) or not _new(folder / path, text, dry)
    return Written(path, "kept" if kept else "created")


def _there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def _configuration(path: Path, block: str) -> Callable[[bool], Written]:
    """Return what writes the table; what can be wrong with the file is found before that."""
    if not _there(path):
        return lambda dry: Written(Path(FILE), "created" if _new(path, block, dry) else "kept")
    old = path.read_bytes()
    try:
        text = old.decode("utf-8")
        data = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{FILE} is no TOML: {error}; mend it, then start again") from error
    tool = data.get("tool", {})
    if isinstance(tool, dict) and "looprig" in tool:
        return lambda dry: Written(Path(FILE), "kept")
    new = _appended(text, block)
    try:
        tomllib.loads(new)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"[{TABLE}] cannot be added to {FILE} ({error}): its [tool] is not open to tables") from error

    def add(dry: bool) -> Written:
        if not dry:
            _replace(path, old, new.encode("utf-8"))
        return Written(Path(FILE), "added")

    return add


def _appended(text: str, block: str) -> str:
    """Return *text* with *block* behind it, in the line ends that it has."""
    newline = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return text + gap + block.replace("\n", newline)


def _new(path: Path, text: str, dry: bool) -> bool:
    """Write a new file, whole or not at all; return False where somebody else's is there by now."""
    if dry:
        return True
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path, text.encode("utf-8"))
    try:
        os.chmod(draft, 0o666 & ~_umask())
        os.link(draft, path)  # unlike a rename, this never replaces
    except FileExistsError:
        return False
    except OSError:  # no hard links here
        with contextlib.suppress(FileExistsError), path.open("xb") as file:
            file.write(text.encode("utf-8"))
            return True
        return False
    finally:
        draft.unlink()
    return True


def _replace(path: Path, old: bytes, new: bytes) -> None:
    """Put *new* in the place of *old*, whole or not at all; a link stays a link, and permissions stay."""
    path = path.resolve()
    draft = _draft(path, new)
    try:
        shutil.copymode(path, draft)
        if path.read_bytes() != old:
            raise ConfigError(f"{path.name} was changed while [{TABLE}] was added to it; start again")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _draft(path: Path, text: bytes) -> Path:
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(number, "wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


def _umask() -> int:
    """Return the mask of permissions for new files; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _quoted(text: str) -> str:
    """Return *text* in quotes, as TOML, Python and JSON read it alike."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _workflow(folder: Path) -> str:
    """Return the CI file; a project that can be installed is installed there."""
    path = folder / FILE
    data = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    installs = "project" in data or (folder / "setup.py").exists()
    return WORKFLOW_TEXT.replace("PACKAGES", "looprig -e ." if installs else "looprig")


def lines(written: Sequence[Written], *, dry: bool = False) -> list[str]:
    """Say what became of each file."""
    would = "would be " if dry else ""
    said = {
        "created": f"{would}created",
        "added": f"[{TABLE}] {would}added",
        "kept": "already there, left as it is",
    }
    return [f"{one.path.as_posix():<32} {said[one.what]}" for one in written]


CONFIGURATION = """\
[tool.looprig]
loop = {loop}
# scenarios = ["long_*", {{ name = "pending_calls", set = {{ messages = 200 }} }}]  # by default all; see looprig list
# baseline = "origin/main"  # what is compared with

[tool.looprig.limits]  # what is not named here may not get worse than the baseline
# tokens_sent = "+2 %"
# request_tokens_peak = "max 120_000"
"""

ADAPTER_TEXT = '''\
"""The loop under test. `Loop` is a stand-in that works: put your own in its place, or let it call yours.

Looprig calls ``make_loop(model, tools)`` for each conversation. ``model.complete(messages)`` answers a list of
chat-completions dicts, ``tools[name].run(arguments)`` runs a tool; ``acomplete`` and ``arun`` are for coroutines.
"""

import json


def make_loop(model, tools):
    return Loop(model, tools)


class Loop:
    def __init__(self, model, tools):
        self.model, self.tools, self.history = model, tools, []

    def add_system(self, text):
        self.history.append({"role": "system", "content": text})

    def send(self, text):
        """Say *text* as the user; return the answer."""
        if not text.strip() or "\\0" in text:
            raise ValueError("say something")
        self.history.append({"role": "user", "content": text})
        reply = self.ask()
        while reply.get("tool_calls"):
            self.history.append(reply)
            for call in reply["tool_calls"]:
                result = self.result_of(call["id"], **call["function"])
                self.history.append({"role": "tool", "tool_call_id": call["id"], "content": result})
            reply = self.ask()
        self.history.append(reply)
        return reply["content"]

    def ask(self):
        try:
            return self.model.complete(self.history)
        except Exception as error:
            return {"role": "assistant", "content": f"The model failed: {error}"}

    def result_of(self, call_id, name, arguments):
        try:
            if self.tools[name].category == "destructive" and not self.tools.approve(call_id, name, arguments):
                return "denied"
            inputs = json.loads(arguments or "{}")
            return str(self.tools[name].run(inputs)) if isinstance(inputs, dict) else "no JSON object"
        except Exception as error:
            return f"failed: {error}"
'''

TEST_TEXT = '''\
"""Looprig plays its scenarios against the loop, and looks at every request that the loop makes."""

from looprig.target import find
from looprig.testing import check_loop


def test_loop():
    check_loop(find({loop}).make(), "long_tool_chain", "parallel_tools", "pending_calls")
'''

WORKFLOW_TEXT = """\
name: looprig
on:
  pull_request:
  push:
    branches: [main]
permissions:
  contents: read
jobs:
  gate:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with:
          fetch-depth: 0 # the branch that a pull request goes to is compared with
      - uses: actions/setup-python@v5
        with:
          python-version: "3.12"
      - run: python -m pip install PACKAGES
      - run: looprig gate --baseline "${BASE:+origin/$BASE}" --output github=- --output junit=looprig.xml
        env:
          BASE: ${{ github.base_ref }} # empty on a push; then the baseline is the configuration's
      - uses: actions/upload-artifact@v4
        if: always()
        with:
          name: looprig
          path: looprig.xml
"""
