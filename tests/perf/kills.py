"""Kills a process at random points of its sessions, resumes them, and looks for what was lost, doubled or run twice.

Each life of a session is a forked process that kills itself (SIGKILL, so nothing is cleaned up) when it has run
a random number of lines of the reference loop: between any two lines is a point. What is true of the outside
world is written down outside the session: which turns were acknowledged, and which tools really ran.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from looprig.messages import Message, ToolCall
from reference_loop import make_loop, tool
from tests.perf.targets import Section, Target, section, table

TURNS = 6
ROUNDS = 2
OPTIONS: dict[str, Any] = {"max_history_pairs": 4, "system": "be brief"}


class Stateless:
    """A model whose reply depends on the last message alone: so many rounds of three calls, then an answer."""

    async def acomplete(self, messages: Sequence[Message]) -> Message:
        await asyncio.sleep(0)
        newest = messages[-1]
        if newest.role == "user":
            return self._round(newest.content.removeprefix("turn "), 0)
        turn, number = (newest.tool_call_id or "").split(".")[:2]
        if int(number) + 1 < ROUNDS:
            return self._round(turn, int(number) + 1)
        return Message(role="assistant", content=f"answer {turn}")

    def _round(self, turn: str, number: int) -> Message:
        names = ("effect", "blocking_effect", "effect")
        ids = [f"{turn}.{number}.{index}" for index in range(3)]
        calls = (ToolCall(each, name, json.dumps({"call": each})) for each, name in zip(ids, names, strict=True))
        return Message(role="assistant", tool_calls=tuple(calls))

    def astream(self, messages: Sequence[Message]) -> Any:
        raise NotImplementedError


def tools(effects: Path) -> dict[str, Any]:
    """Return tools whose side effect is a line in *effects*."""

    @tool(category="write", reads=())  # in parallel
    async def effect(call: str) -> str:
        """Have an effect, and wait."""
        note(effects, call)
        await asyncio.sleep(0)
        return f"done {call}"

    @tool(category="write", reads=())  # in parallel
    def blocking_effect(call: str) -> str:
        """Have an effect in a thread."""
        note(effects, call)
        return f"done {call}"

    return {each.name: each for each in (effect, blocking_effect)}


def note(file: Path, line: str) -> None:
    """Append a line in one write."""
    with file.open("ab", buffering=0) as out:
        out.write(line.encode() + b"\n")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def live(folder: Path, turns: int) -> tuple[Message, ...]:
    """Play the session to its end from wherever it stands; note each answer as acknowledged once it is returned."""
    loop = make_loop(Stateless(), tools(folder / "effects"), journal=str(folder / "session"), **OPTIONS)
    assert loop.journal is not None
    if (answer := await loop.resume()) is not None:
        note(folder / "acknowledged", f"{loop.journal.turns} {answer.content}")
    while loop.journal.turns < turns:
        answer = await loop.send(f"turn {loop.journal.turns + 1}")
        note(folder / "acknowledged", f"{loop.journal.turns} {answer.content}")
    loop.close()
    return loop.history


def one_life(folder: Path, lines_to_live: int | None) -> bool:
    """Live in a forked process, and be killed after so many lines; return whether the session came to its end."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            if lines_to_live is not None:
                kill_after(lines_to_live)
            asyncio.run(live(folder, TURNS))
            code = 0
        os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0:
        raise AssertionError(f"a life ended by itself with {os.WEXITSTATUS(status)}, session in {folder}")
    return os.WIFEXITED(status)


def kill_after(count: int) -> None:
    """Kill this process when it has begun *count* lines of the reference loop."""
    left = count

    def on_line(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return on_line

    def on_call(frame: FrameType, event: str, argument: object) -> Any:
        return on_line if "reference_loop" in frame.f_code.co_filename else None

    sys.settrace(on_call)


def lines_of_a_session() -> int:
    """Count the lines that a session runs, opening and all."""
    count = 0

    def on_line(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return on_line

    with tempfile.TemporaryDirectory() as folder:
        before = sys.gettrace()
        sys.settrace(lambda frame, *_: on_line if "reference_loop" in frame.f_code.co_filename else None)
        try:
            asyncio.run(live(Path(folder), TURNS))
        finally:
            sys.settrace(before)
    return count


def problems(folder: Path) -> list[str]:
    """Return what is wrong with a session that has come to its end."""
    written = [json.loads(line) for line in lines(folder / "session")]
    messages = [line["said"] for line in written if "said" in line]
    ran = Counter(lines(folder / "effects"))
    users = [message["content"] for message in messages if message["role"] == "user"]
    answers = [each["content"] for each in messages if each["role"] == "assistant" and not each.get("tool_calls")]
    acknowledged = [line.split(" ", 1)[1] for line in lines(folder / "acknowledged")]
    calls = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    results = Counter(message["tool_call_id"] for message in messages if message["role"] == "tool")
    texts = {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}
    every_turn = range(1, TURNS + 1)
    found = {
        "user messages lost or doubled": users != [f"turn {turn}" for turn in every_turn],
        "answers lost or doubled": answers != [f"answer {turn}" for turn in every_turn],
        "an acknowledged answer is not in the session": not set(acknowledged) <= set(answers),
        "an answer was acknowledged twice": len(set(acknowledged)) < len(acknowledged),
        "system message lost or doubled": [each["role"] for each in messages].count("system") != 1,
        "a call asked for twice": len(set(calls)) != len(calls) or len(calls) != TURNS * ROUNDS * 3,
        "a call without exactly one result": results != Counter(calls),
        "a side effect ran twice": max(ran.values()) > 1,
        "a result without its effect": any(t == f"done {call}" and not ran[call] for call, t in texts.items()),
        "an effect that is said not to have run": any(t.startswith("not run") and ran[c] for c, t in texts.items()),
    }
    return [problem for problem, is_so in found.items() if is_so]


class Outcome(NamedTuple):
    """What became of many sessions: lives ended by a kill, calls of unknown outcome, calls not run, and problems."""

    sessions: int
    kills: int
    unknown: int
    not_run: int
    resumed_equal: int
    problems: Counter[str]


def kill_sessions(count: int, seed: int) -> Outcome:
    """Play *count* sessions, each killed until it survives."""
    rng = random.Random(seed)
    length = lines_of_a_session()
    kills = unknown = not_run = equal = 0
    found: Counter[str] = Counter()
    for _ in range(count):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            while not one_life(folder, rng.randrange(1, length)):
                kills += 1
            found.update(problems(folder))
            results = [line for line in lines(folder / "session") if '"tool_call_id"' in line]
            unknown += sum("outcome unknown" in line for line in results)
            not_run += sum("not run" in line for line in results)
            first, again = (asyncio.run(live(folder, TURNS)) for _ in range(2))
            equal += first == again and first[-1].content == f"answer {TURNS}"
    return Outcome(count, kills, unknown, not_run, equal, found)


def bytes_per_turn(turns: int) -> list[int]:
    """Return how many bytes the session's file grew in each turn of a long session."""
    with tempfile.TemporaryDirectory() as name:
        file, sizes = Path(name, "session"), [0]

        async def talk() -> None:
            loop = make_loop(Stateless(), tools(Path(name, "effects")), journal=str(file), policy="never")
            for number in range(turns):
                await loop.send(f"turn {number + 10_000}")  # as many digits in every turn
                sizes.append(file.stat().st_size)
            loop.close()

        asyncio.run(talk())
    return [after - before for before, after in pairwise(sizes)]


def measure(sessions: int = 200, turns: int = 1_000) -> Section:
    """Kill, resume, count."""
    started = time.perf_counter()
    outcome = kill_sessions(sessions, seed=1)
    grown = bytes_per_turn(turns)
    # The number of a turn that is over has one digit more from time to time; nothing else may grow.
    first, last = grown[0], grown[-1] - len(str(turns)) + 1
    total = sum(outcome.problems.values())
    targets = [
        Target("sessions killed and resumed to their end", f"{outcome.sessions}", "200", sessions >= 200),
        Target("messages lost or doubled, calls without a result, effects run twice", f"{total}", "0", total == 0),
        Target(
            "sessions that open twice with the same history", f"{outcome.resumed_equal}", f"{sessions}",
            outcome.resumed_equal == sessions,
        ),
        Target(f"bytes written in turn {turns:,} of a session that drops nothing, to turn 1",
               f"{last:,} / {first:,}", "equal", first == last),
    ]  # fmt: skip
    counts = table(
        ["kills", "calls of unknown outcome", "calls not run", "seconds"],
        [[outcome.kills, outcome.unknown, outcome.not_run, f"{time.perf_counter() - started:.0f}"]],
    )
    found = "\n".join(f"- {problem}: {number}" for problem, number in outcome.problems.items())
    command, tables = ".venv/bin/python -m tests.perf.kills", [counts, *([found] if found else [])]
    return Section("A session survives its process", command, targets, tables)


if __name__ == "__main__":
    print(section(measure()))
