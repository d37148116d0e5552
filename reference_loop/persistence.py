"""A session on disk, so that a conversation goes on where a killed process left it.

The file has one JSON line for each thing that happened. A line is one write to the end of the file, so what a
turn writes depends on that turn alone, and a kill tears at most the last line, which is then dropped.
"""

import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from looprig.messages import Message, ToolCall
from reference_loop.history import History


class JournalError(RuntimeError):
    """The session's file cannot be used, or something could not be saved; says what to do."""


class Line(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A message that was said, the id of a call whose tool is about to start, or how many turns are over."""

    said: Message | None = None
    begun: str | None = None
    turns: int | None = None


class Journal:
    """The file of one session, and how many ``turns`` are over. Raises JournalError, also where it is in use."""

    def __init__(self, path: str | Path) -> None:
        self.turns = 0
        self._path = Path(path)
        self._failure: OSError | None = None
        try:
            with ExitStack() as undo:
                self._file = undo.enter_context(self._path.open("ab", buffering=0))
                if sys.platform != "win32":
                    import fcntl

                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._past = self._read()
                self.close = undo.pop_all().close
        except OSError as error:
            reason = "another loop has it open" if isinstance(error, BlockingIOError) else error.strerror
            raise JournalError(f"the session {path} cannot be opened: {reason}; choose another file") from error

    def _read(self) -> list[Line]:
        """Read the file, and cut off a line that was torn."""
        *whole, torn = self._path.read_bytes().split(b"\n")
        if torn:
            os.truncate(self._path, self._path.stat().st_size - len(torn))
        lines: list[Line] = []
        try:
            lines.extend(msgspec.json.decode(line, type=Line) for line in whole)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            text = f"line {len(lines) + 1} of the session {self._path} cannot be read: {error}"
            raise JournalError(f"{text}; mend the line, or choose another file") from error
        return lines

    def restore(self, history: History) -> bool:
        """Tell an empty *history* all that was said; return whether the file ends inside a turn.

        A call that has no result gets one, so that the history can be sent: nothing is run a second time.
        """
        open_calls: list[str] = []
        begun: set[str] = set()
        in_turn = False
        for line in self._past:
            if line.said is not None:
                history.append(line.said)
                in_turn = in_turn or line.said.role == "user"
                open_calls += [call.id for call in line.said.tool_calls]
                if line.said.tool_call_id in open_calls:
                    open_calls.remove(line.said.tool_call_id)
            elif line.begun is not None:
                begun.add(line.begun)
            elif line.turns is not None:
                self.turns, in_turn, begun = line.turns, False, set()
                history.end_turn()
        history.hears.append(self.said)
        for call_id in open_calls:
            text = "cancelled: outcome unknown" if call_id in begun else "not run: cancelled"
            history.append(Message(role="tool", content=text, tool_call_id=call_id))
        return in_turn

    def said(self, message: Message) -> None:
        """Save a message; where that fails it joins the history all the same, and the end of the turn says so."""
        with suppress(JournalError):
            self._write(Line(said=message))

    def begun(self, call: ToolCall) -> None:
        """Note that a tool is about to start; it must not where that cannot be saved, so this raises JournalError."""
        self._write(Line(begun=call.id))

    def turn_over(self) -> None:
        """Note the end of a turn, and sync all of it to the disk; raises JournalError where that fails."""
        self.turns += 1
        self._write(Line(turns=self.turns))

    def _write(self, line: Line) -> None:
        """Append one line, unless one before it could not be written."""
        data = msgspec.json.encode(line) + b"\n"
        try:
            if self._failure is None and self._file.write(data) != len(data):
                raise OSError("the disk is full")
            if line.turns is not None:
                os.fsync(self._file.fileno())
        except OSError as error:
            self._failure = error
        if self._failure is not None:
            text = f"the session {self._path} could not be saved: {self._failure}"
            raise JournalError(f"{text}; the loop remembers it, the file ends before it") from self._failure
