"""Throw-away git repositories with a small chat loop in them, and what a repository looks like from outside."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PLAIN = """
from types import SimpleNamespace


def make_loop(model, tools):
    history = []

    def send(text):
        history.append({"role": "user", "content": text})
        while True:
            EXTRA
            reply = model.complete(list(history))
            history.append(reply)
            for call in reply.get("tool_calls", []):
                result = tools[call["function"]["name"]].run(__import__("json").loads(call["function"]["arguments"]))
                history.append({"role": "tool", "tool_call_id": call["id"], "content": str(result)})
            if not reply.get("tool_calls"):
                return reply["content"]

    return SimpleNamespace(send=send, history=lambda: history)
"""
"""A chat loop that never trims; EXTRA stands for what a revision does besides."""


def loop(extra: str = "pass") -> str:
    """Return the loop's file, with something *extra* before each request."""
    return PLAIN.replace("EXTRA", extra)


def git(folder: Path, *words: str) -> str:
    """Return what git prints, in an environment that the machine's configuration does not reach."""
    outside = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words],
        cwd=folder, env=outside, capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip


def commit(folder: Path, files: Mapping[str, str], message: str = "change") -> str:
    """Write *files*, commit all that there is, and return the commit."""
    if not (folder / ".git").exists():
        folder.mkdir(exist_ok=True)
        git(folder, "init", "--quiet", "--initial-branch", "main")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def picture(folder: Path) -> dict[str, object]:
    """Return all that a user could find changed: every file with its bytes and time, .git included, and git's words."""
    files = {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    words = [("worktree", "list"), ("stash", "list"), ("branch", "--all"), ("config", "--local", "--list")]
    return {**files, **{" ".join(each): git(folder, "--no-optional-locks", *each) for each in words}}
