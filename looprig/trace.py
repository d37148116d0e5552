"""What looprig observed in one run: a stream of events, and its recording as JSON lines.

A recording keeps *what* happened apart from *how long it took on this machine*: events of
type ``noise`` hold the latter, and nothing else does. The digest of a run leaves them out, so
that the same scenario, seed and loop give the same digest anywhere; and two recordings of
one seed are equal byte for byte once the ``noise`` lines are dropped.

A request is not written message by message, which would make a recording quadratic in
the conversation. Every message of a session has a position, in the order in which it first
appeared, and a request is written as spans of positions: see `Request`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from looprig.loop import Contract
from looprig.messages import Message
from looprig.scenario import Turn

SCHEMA_VERSION = 1
"""1: the first format."""

Span = tuple[int, int]
"""Positions from the first, up to and without the second."""


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type"):
    """Something that looprig saw; ``session`` numbers the conversations of a run from 0."""


class Run(Event, frozen=True, kw_only=True, omit_defaults=True, tag="run"):
    """The first event: what was run."""

    looprig: str
    scenario: str
    seed: int
    loop: str
    clock: str
    tokens: str
    params: Mapping[str, int | float | str | bool] = {}
    schema_version: int = SCHEMA_VERSION


class SessionStarted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="session"):
    """A loop was made for a session; ``offers`` names the optional parts of `looprig.loop` that it has."""

    session: int
    contract: Contract
    offers: tuple[str, ...] = ()


class TurnStarted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="turn"):
    """A turn begins. Its user message gets the session's next position."""

    turn: int
    plan: Turn
    at_s: float


class SystemAdded(Event, frozen=True, kw_only=True, omit_defaults=True, tag="system"):
    """The application added a system message."""

    session: int
    text: str


class Request(Event, frozen=True, kw_only=True, omit_defaults=True, tag="request"):
    """The loop handed messages to the model.

    The messages are: those of the request before where ``extends`` is true, then those at the
    positions of ``spans``. The messages of ``new`` get the session's next positions first.
    ``again`` holds messages that were dropped earlier and have come back, with their positions.
    ``copied`` counts messages that are other objects than the equal ones of the request before.
    """

    session: int
    turn: int
    extends: bool = False
    spans: tuple[Span, ...] = ()
    new: tuple[Message, ...] = ()
    again: tuple[tuple[int, Message], ...] = ()
    copied: int = 0


class Reply(Event, frozen=True, kw_only=True, omit_defaults=True, tag="reply"):
    """The model answered the last request, or failed with ``fault``. A message gets the session's next position.

    ``round`` is -1 where the request ended in nothing that the script could answer.
    """

    session: int
    turn: int
    round: int
    at_s: float
    message: Message | None = None
    fault: str | None = None


class ToolStarted(Event, frozen=True, kw_only=True, omit_defaults=True, tag="tool_started"):
    """A tool runs; ``turn``, ``round`` and ``call`` are -1 where its arguments carry no place."""

    session: int
    name: str
    arguments: str
    at_s: float
    turn: int = -1
    round: int = -1
    call: int = -1


class ToolEnded(Event, frozen=True, kw_only=True, omit_defaults=True, tag="tool_ended"):
    """A tool run ended: ``ok``, ``raised`` or ``cancelled``."""

    session: int
    outcome: str
    at_s: float
    turn: int = -1
    round: int = -1
    call: int = -1


class Approval(Event, frozen=True, kw_only=True, omit_defaults=True, tag="approval"):
    """The loop asked whether a call may run."""

    session: int
    name: str
    granted: bool
    turn: int = -1
    round: int = -1
    call: int = -1


class Trimmed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="trim"):
    """The loop said that it trimmed its history."""

    session: int
    before: int
    after: int


class TrimProbed(Event, frozen=True, kw_only=True, omit_defaults=True, tag="probe"):
    """The loop's pure trim was tried on the coming request's messages; each text says what was wrong, or is empty."""

    session: int
    not_idempotent: str = ""
    input_changed: str = ""
    not_deterministic: str = ""


TurnStatus = Literal["answered", "refused", "raised", "cancelled", "stopped"]


class TurnEnded(Event, frozen=True, kw_only=True, omit_defaults=True, tag="answer"):
    """A turn is over.

    ``refused``: the loop raised before it asked the model; ``stopped``: looprig ended a turn
    that would not end. ``own`` is true where the answer is the loop's own and not the
    model's last reply; it then gets the session's next position. ``history``, ``peak``
    (messages) and ``above_trigger`` (appends that left the history above its trigger) are
    what the loop told its listener.
    """

    session: int
    turn: int
    status: TurnStatus
    at_s: float
    answer: str | None = None
    own: bool = False
    error: str | None = None
    history: int | None = None
    peak: int | None = None
    above_trigger: int | None = None


class SessionEnded(Event, frozen=True, kw_only=True, omit_defaults=True, tag="closed"):
    """A session is over; ``history`` is how many messages the loop remembers, ``open_calls`` those without result."""

    session: int
    history: int | None = None
    open_calls: tuple[str, ...] = ()


class Misuse(Event, frozen=True, kw_only=True, omit_defaults=True, tag="misuse"):
    """The loop used looprig's model or tools in a way that they cannot serve."""

    session: int
    text: str


class Noise(Event, frozen=True, kw_only=True, omit_defaults=True, tag="noise"):
    """Figures of this machine: CPU nanoseconds of a turn (loop's share), of a trim, the loop's own statistics."""

    session: int
    turn_ns: int | None = None
    trim_ns: int | None = None
    retained_bytes: int | None = None
    statistics: Mapping[str, float | int | str] | None = None


class RunEnded(Event, frozen=True, kw_only=True, omit_defaults=True, tag="end"):
    """The last event; a recording without it was cut short."""

    digest: str


AnyEvent = (
    Run
    | SessionStarted
    | TurnStarted
    | SystemAdded
    | Request
    | Reply
    | ToolStarted
    | ToolEnded
    | Approval
    | Trimmed
    | TrimProbed
    | TurnEnded
    | SessionEnded
    | Misuse
    | Noise
    | RunEnded
)

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(AnyEvent)


class TraceError(Exception):
    """A recording cannot be read or written; the text says where, why and what to do."""


def encode(event: Event) -> bytes:
    """Return *event* as one JSON line without its newline."""
    try:
        return _ENCODER.encode(event)
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8 form; JSON's escape keeps it, and the round trip stays exact.
        return json.dumps(msgspec.to_builtins(event), separators=(",", ":")).encode("ascii")


def decode(line: bytes) -> AnyEvent:
    """Read one line back.

    Raises:
        ValueError: where the line is no event.
    """
    event: AnyEvent
    try:
        event = _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if isinstance(error, msgspec.ValidationError):
            raise
        event = msgspec.convert(json.loads(line), AnyEvent)  # the slow way reads lone surrogates
    return event


class Recording:
    """Writes events to a file as they happen, and keeps the digest.

    With no path only the digest is kept.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._digest = hashlib.sha256()
        self._file: IO[bytes] | None = None
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("wb")
            except OSError as error:
                raise self._unwritable(error) from error

    def write(self, event: Event) -> None:
        """Add *event*.

        Raises:
            TraceError: where the file cannot be written, for example on a full disk.
        """
        line = encode(event) + b"\n"
        if type(event) is not Noise:
            self._digest.update(line)
        if self._file is not None:
            try:
                self._file.write(line)
            except OSError as error:
                raise self._unwritable(error) from error

    def digest(self) -> str:
        """Return what was written so far, noise apart, as 16 hexadecimal digits."""
        return self._digest.hexdigest()[:16]

    def close(self) -> None:
        """Write what is buffered, and close the file.

        Raises:
            TraceError: where the file cannot be written.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> TraceError:
        return TraceError(
            f"cannot write the recording {self.path}: {error.strerror}; choose another folder with --traces DIR, "
            "or run with --no-traces"
        )


def read(path: Path) -> Iterator[AnyEvent]:
    """Yield the events of a recording.

    Raises:
        TraceError: naming the line, where the file is no recording or was cut short.
    """
    number = 0
    event: Any = None
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                event = decode(line)
                if number == 1:
                    _check_first(path, event)
                yield event
    except OSError as error:
        raise TraceError(f"cannot read the recording {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise TraceError(
            f"{path}, line {number}: not an event of a looprig recording ({error}); "
            "record it again with looprig run --traces DIR"
        ) from error
    if not isinstance(event, RunEnded):
        raise TraceError(
            f"{path} was cut short after line {number}: the run that wrote it did not finish; run it again"
        )


def _check_first(path: Path, event: AnyEvent) -> None:
    if not isinstance(event, Run):
        raise TraceError(f"{path}: a recording starts with an event of type run, this one with something else")
    if event.schema_version > SCHEMA_VERSION:
        raise TraceError(
            f"{path} has schema version {event.schema_version}; "
            f"this looprig reads up to {SCHEMA_VERSION}: upgrade looprig"
        )
