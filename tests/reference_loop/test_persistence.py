"""A session on disk: killed at any point, cut at any byte, spoilt in every way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from reference_loop import Config, MockModel, ReferenceLoop, make_loop, mock_tools
from reference_loop.errors import NoTurnNow
from reference_loop.history import History
from reference_loop.persistence import Journal, JournalError, Line
from tests.perf.kills import OPTIONS, Stateless, bytes_per_turn, kill_sessions, tools


def talk(file: Path, *texts: str) -> tuple[Message, ...]:
    """Open the session, say the texts, close it; return the history."""

    async def say() -> tuple[Message, ...]:
        with closing(make_loop(MockModel(), mock_tools(), journal=str(file))) as loop:
            for text in texts:
                await loop.send(text)
            return loop.history

    return asyncio.run(say())


def test_killed_at_random_points():
    """
    However often a session's process is killed, nothing that was acknowledged is lost, nothing is said or run twice, no
    call stays without a result, and the session opens again as it was.
    """
    outcome = kill_sessions(10, seed=7)

    assert {} == outcome.problems
    assert 10 == outcome.resumed_equal
    assert outcome.kills > 10
    assert outcome.unknown > 0
    assert outcome.not_run > 0


def forget(*_: object) -> None:
    pass


def without_results(journal: Journal, message: Message) -> None:
    if message.role != "tool":
        SAID(journal, message)


def twice(journal: Journal, message: Message) -> None:
    SAID(journal, message)
    if message.role == "user":
        SAID(journal, message)


SAID = Journal.said


@pytest.mark.parametrize(
    ("method", "fault", "problem"),
    [
        ("begun", forget, "an effect that is said not to have run"),
        ("said", without_results, "a call without exactly one result"),
        ("said", twice, "user messages lost or doubled"),
    ],
)
def test_planted_fault(monkeypatch: pytest.MonkeyPatch, method: str, fault: Callable[..., None], problem: str):
    """
    A journal that forgets what it was told, or says it twice, is found out.
    """
    monkeypatch.setattr(Journal, method, fault)

    assert problem in kill_sessions(10, seed=7).problems


def test_bytes_per_turn():
    """
    What a turn writes does not depend on how long the session is.
    """
    grown = bytes_per_turn(9)

    assert {grown[0]} == set(grown)
    assert grown[0] > 500


def test_goes_on(tmp_path: Path):
    """
    A session that is opened again has all messages with their ids and calls, and one system prompt.
    """
    before = talk(tmp_path / "s", "calculate 6*7", "note milk: buy two")
    assert before == talk(tmp_path / "s")
    after = talk(tmp_path / "s", "hello")

    assert before == after[: len(before)]
    assert "You said: hello" == after[-1].content
    assert "multiply" == before[1].tool_calls[0].name
    assert before[1].tool_calls[0].id == before[2].tool_call_id


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a session of three turns, in which the third was cut by a trim."""
    folder = tmp_path_factory.mktemp("recorded")

    async def play() -> None:
        loop = make_loop(Stateless(), tools(folder / "effects"), journal=str(folder / "s"), **OPTIONS)
        for number in range(1, 4):
            await loop.send(f"turn {number}")
        loop.close()

    asyncio.run(play())
    return (folder / "s").read_bytes()


@given(data=st.data())
def test_cut_at_any_byte(data: st.DataObject, recorded: bytes, tmp_path_factory: pytest.TempPathFactory):
    """
    A file that was torn at any byte opens with a prefix of what was said, every call with its result, and goes on to
    the same end.
    """
    length = data.draw(st.integers(0, len(recorded)))
    file = tmp_path_factory.mktemp("cut") / "s"
    file.write_bytes(recorded[:length])
    kept = recorded[: recorded.rfind(b"\n", 0, length) + 1]
    whole = [line for line in kept.splitlines() if b'{"said"' in line]
    with closing(Journal(file)) as journal:
        history = History(Config(policy="never").new_policy())
        in_turn = journal.restore(history)

    said = tuple(history.request())
    called = [call.id for message in said for call in message.tool_calls]
    assert called == [message.tool_call_id for message in said if message.role == "tool"]
    assert whole == [msgspec.json.encode(Line(said=message)) for message in said[: len(whole)]]
    assert in_turn == (kept.rfind(b'"role":"user"') > kept.rfind(b'{"turns"'))


def test_interrupted_turn(tmp_path: Path):
    """
    A turn that was under way has to be finished before the next, and is finished without running anything again.
    """
    call = ToolCall(id="c1", name="write_note", arguments='{"title": "milk", "text": "two"}')
    lines = [
        Line(said=Message(role="user", content="note milk: two")),
        Line(said=Message(role="assistant", tool_calls=(call,))),
        Line(begun="c1"),
    ]
    (tmp_path / "s").write_bytes(msgspec.json.Encoder().encode_lines(lines) + b'{"said":{"role":"to')
    all_tools = mock_tools()

    async def go_on() -> None:
        loop = ReferenceLoop(MockModel(), all_tools, Config(journal=str(tmp_path / "s")))
        with pytest.raises(NoTurnNow, match=r"await resume\(\)"):
            await loop.send("hello")
        answer = await loop.resume()
        assert answer is not None
        assert "The tool says: cancelled: outcome unknown" == answer.content
        assert await loop.resume() is None
        assert {} == await all_tools["read_notes"].arun({})
        assert "You said: hello" == (await loop.send("hello")).content
        loop.close()

    asyncio.run(go_on())
    assert ["user", "assistant", "tool", "assistant"] == [each.role for each in talk(tmp_path / "s")[:4]]


def test_nothing_to_resume(tmp_path: Path):
    """
    Where no turn was under way there is nothing to finish.
    """
    with closing(make_loop(MockModel(), {}, journal=str(tmp_path / "s"))) as loop:
        asyncio.run(loop.send("hello"))
        assert asyncio.run(loop.resume()) is None
    assert ReferenceLoop(MockModel(), {}).journal is None


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text.replace('{"turns"', "{'turns'"), "line 3 of the session .* cannot be read: .*; mend the"),
        (lambda text: text.replace('"content":"hello"', '"content":7'), "line 1 .*Expected `str`, got `int`"),
        (lambda text: '{"what": 1}\n' + text, "line 1 .* cannot be read"),
        (lambda text: '{"turns": "many"}\n' + text, "line 1 .* cannot be read"),
        (lambda text: "[]\n" + text, "line 1 .* cannot be read"),
        (lambda text: "\n" + text, "line 1 .* cannot be read"),
        (lambda text: "\ufffd\udc80\n" + text, "line 1 .* cannot be read"),
    ],
)  # fmt: skip
def test_spoilt_file(tmp_path: Path, spoil: Callable[[str], str], says: str):
    """
    A line that is not of a session is named with its number, and the file is left as it is.
    """
    file = tmp_path / "s"
    talk(file, "hello")
    spoilt = spoil(file.read_text()).encode(errors="surrogateescape")
    file.write_bytes(spoilt)

    with pytest.raises(JournalError, match=says):
        talk(file)
    assert spoilt == file.read_bytes()


def test_in_use(tmp_path: Path):
    """
    Two loops do not write into one session.
    """
    with (
        closing(Journal(tmp_path / "s")),
        pytest.raises(JournalError, match="another loop has it open; choose"),
    ):
        Journal(tmp_path / "s")


def test_no_such_folder(tmp_path: Path):
    """
    Where the file cannot be made, the error says why and what to do.
    """
    with pytest.raises(JournalError, match="No such file or directory; choose another file"):
        make_loop(MockModel(), {}, journal=str(tmp_path / "none" / "s"))


class Full:
    """A file on a disk that is full after so many lines; the last one is torn."""

    def __init__(self, file: Any, room: int) -> None:
        self.file = file
        self.room = room

    def write(self, line: bytes) -> int:
        self.room -= 1
        return int(self.file.write(line if self.room >= 0 else line[:7]))

    def fileno(self) -> int:
        return int(self.file.fileno())

    def close(self) -> None:
        self.file.close()


@pytest.mark.parametrize("room", [0, 1, 2, 3, 4])
def test_full_disk(tmp_path: Path, room: int):
    """
    A turn that could not be saved is not acknowledged; no tool runs unrecorded, the loop's history stays valid, and the
    file opens with what it has.
    """
    all_tools = mock_tools()
    loop = ReferenceLoop(MockModel(), all_tools, Config(journal=str(tmp_path / "s")))
    assert loop.journal is not None
    loop.journal._file = Full(loop.journal._file, room)  # type: ignore[assignment]
    for _ in range(2):
        with pytest.raises(JournalError, match="the disk is full; the loop remembers it"):
            asyncio.run(loop.send("note milk: two"))
    loop.close()

    assert ["user", "assistant", "tool", "assistant"] * 2 == [message.role for message in loop.history]
    assert ({} if room < 3 else {"milk": "two"}) == asyncio.run(all_tools["read_notes"].arun({}))
    again = ReferenceLoop(MockModel(), all_tools, Config(journal=str(tmp_path / "s")))
    assert list(loop.history[: min(room, 2)]) == list(again.history[: min(room, 2)])
    again.close()
