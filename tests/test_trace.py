"""Recordings: what goes in comes out, what is no recording is refused in words, and a full disk is noticed."""

from __future__ import annotations

import os
import re
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.content import make_scenario
from looprig.messages import Message
from looprig.runner import RunOptions, run
from looprig.trace import (
    SCHEMA_VERSION,
    AnyEvent,
    Event,
    Misuse,
    Noise,
    Recording,
    Request,
    Run,
    RunEnded,
    SystemAdded,
    TraceError,
    decode,
    encode,
    read,
)
from reference_loop import make_loop

EVENTS: tuple[type[Event], ...] = get_args(AnyEvent)

# Every character that a text can hold in Python: NUL, line separators and lone surrogates too.
TEXT = st.text(st.characters(codec=None), max_size=10)
PLAIN: Mapping[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Return the values of a field's type."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.name: values(field.type) for field in msgspec.structs.fields(kind)}
        return st.builds(kind, **fields)
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(parts)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(values, parts))
    if origin is tuple and parts[1:] != (...,):
        return st.tuples(*map(values, parts))
    if origin in (tuple, Sequence):
        return st.lists(values(parts[0]), max_size=2).map(tuple)
    assert origin is Mapping, f"no values for {kind}"
    return st.dictionaries(values(parts[0]), values(parts[1]), max_size=2)


RUN = Run(looprig="1", scenario="s", seed=1, loop="l", clock="virtual", tokens="estimate")
SYSTEM = SystemAdded(session=0, text="x")
END = RunEnded(digest="0" * 16)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_round_trip(kind: type[Event], data: st.DataObject):
    """
    Every event is one line, and the line is the event.
    """
    event = data.draw(values(kind))
    line = encode(event)

    assert b"\n" not in line
    assert event == decode(line)
    assert line == encode(decode(line))


@pytest.mark.parametrize(
    "text", ["\0", "\ud83d", "\udc00 end", "a\u2028b\nc", "\x85", "x" * 5_000_000, "\ud83d" * 100_000]
)
def test_odd_texts(text: str):
    """
    Odd texts and huge ones come back as they were.
    """
    for event in (
        SystemAdded(session=0, text=text),
        Request(session=0, turn=0, new=(Message(role="user", content=text),)),
    ):
        assert event == decode(encode(event))


@pytest.mark.parametrize(
    "line", [b"", b"{", b"[]", b"3", b"null", b'"run"', b"{}", b'{"type": "nothing"}', b'{"type":"end"}', b"\xff"]
)
def test_no_event(line: bytes):
    """
    What is no event is a ValueError, whatever it is instead.
    """
    with pytest.raises(ValueError, match=r"\S"):
        decode(line)


def test_keys_that_are_not_known():
    """
    A key that a later version may add is passed over; of a key that is there twice, the last one counts.
    """
    assert SYSTEM == decode(b'{"type":"system","session":0,"text":"x","mood":"fine"}')
    assert SYSTEM == decode(b'{"type":"system","session":7,"text":"y","session":0,"text":"x"}')
    surrogate = decode(b'{"type":"system","session":7,"text":"y","session":0,"text":"\\ud83d"}')
    assert SystemAdded(session=0, text="\ud83d") == surrogate


# ---------------------------------------------------------------------------------------------------------------------
# Recording


def record(path: Path | None, *events: Event) -> str:
    recording = Recording(path)
    for event in events:
        recording.write(event)
    recording.close()
    return recording.digest()


def test_written_and_read(tmp_path: Path):
    """
    A recording holds the events in order, in folders that are made for it.
    """
    path = tmp_path / "new" / "folder" / "run.jsonl"
    record(path, RUN, SYSTEM, END)

    assert [RUN, SYSTEM, END] == list(read(path))
    assert 3 == path.read_bytes().count(b"\n")


def test_written_over(tmp_path: Path):
    """
    A recording of the same name is replaced, not added to.
    """
    path = tmp_path / "run.jsonl"
    record(path, RUN, SYSTEM, SYSTEM, END)
    record(path, RUN, END)

    assert [RUN, END] == list(read(path))


def test_digest(tmp_path: Path):
    """
    The digest is 16 hexadecimal digits, the same with and without a file, and known before the end.
    """
    digest = record(None, RUN, SYSTEM)

    assert re.fullmatch("[0-9a-f]{16}", digest)
    assert digest == record(tmp_path / "run.jsonl", RUN, SYSTEM)


@given(st.lists(st.one_of(*(values(kind) for kind in EVENTS)), max_size=5))
def test_digest_and_noise(events: list[Event]):
    """
    The digest leaves out noise, and nothing else.
    """
    quiet = [event for event in events if type(event) is not Noise]
    digest = record(None, *events)

    assert digest == record(None, *quiet)
    assert digest == record(None, Noise(session=0, turn_ns=1), *events, Noise(session=0))
    assert digest != record(None, *quiet, Misuse(session=0, text="one more"))
    for number in range(len(quiet)):
        assert digest != record(None, *quiet[:number], *quiet[number + 1 :])


def test_equal_but_for_noise(tmp_path: Path):
    """
    Two recordings of one seed are equal byte for byte once the lines of type noise are dropped.
    """
    runs = []
    for name in ("one", "two"):
        path = tmp_path / name
        outcome = run(make_scenario("odd_text", 3, {"repeats": "1"}), make_loop, options=RunOptions(trace=path))
        lines = path.read_bytes().splitlines(keepends=True)
        runs.append([line for line in lines if not line.startswith(b'{"type":"noise"')])
        assert len(runs[-1]) < len(lines)
        *events, end = read(path)
        assert RunEnded(digest=outcome.digest) == end == RunEnded(digest=record(None, *events))

    assert runs[0] == runs[1]


# ---------------------------------------------------------------------------------------------------------------------
# What cannot be read

LINES = [encode(event) + b"\n" for event in (RUN, SYSTEM, END)]
NEWER = encode(msgspec.structs.replace(RUN, schema_version=2)) + b"\n"
REMEDY = "; record it again with looprig run --traces DIR"
NOT_AN_EVENT = "{path}, line %d: not an event of a looprig recording ("
CUT_SHORT = "{path} was cut short after line %d: the run that wrote it did not finish; run it again"

UNREADABLE = {
    "empty": (b"", CUT_SHORT % 0, ""),
    "no end": (b"".join(LINES[:2]), CUT_SHORT % 2, ""),
    "cut in a line": (b"".join(LINES[:2])[:-9], NOT_AN_EVENT % 2, REMEDY),
    "cut before the newline": (b"".join(LINES[:2])[:-1], CUT_SHORT % 2, ""),
    "garbage": (bytes(range(256)) * 20, NOT_AN_EVENT % 1, REMEDY),
    "gzip": (b"\x1f\x8b\x08\x00" + b"\xff" * 100, NOT_AN_EVENT % 1, REMEDY),
    "utf-16": (b"".join(LINES).decode().encode("utf-16"), NOT_AN_EVENT % 1, REMEDY),
    "zeros": (b"\0" * 4096, NOT_AN_EVENT % 1, REMEDY),
    "a zeroed tail": (LINES[0] + b"\0" * 512, NOT_AN_EVENT % 2, REMEDY),
    "blank line": (LINES[0] + b"\n" + LINES[2], NOT_AN_EVENT % 2, REMEDY),
    "text": (b"hello\n", NOT_AN_EVENT % 1, REMEDY),
    "another JSON": (b'{"version": "2.1.0"}\n', NOT_AN_EVENT % 1, REMEDY),
    "a type that is not known": (LINES[0] + b'{"type":"mood"}\n', NOT_AN_EVENT % 2, REMEDY),
    "a field of another type": (LINES[0] + b'{"type":"system","session":"0","text":"x"}\n', NOT_AN_EVENT % 2, REMEDY),
    "nested": (LINES[0] + b"[" * 100_000 + b"\n", NOT_AN_EVENT % 2, REMEDY),
    "nested objects": (LINES[0] + b'{"a":' * 100_000 + b"\n", NOT_AN_EVENT % 2, REMEDY),
    "nested in a key": (
        LINES[0] + b'{"type":"system","session":0,"text":"\\ud83d","x":' + b"[" * 100_000 + b"\n",
        NOT_AN_EVENT % 2,
        REMEDY,
    ),
    "a long number": (
        LINES[0] + b'{"type":"system","session":' + b"9" * 5000 + b',"text":"x"}\n',
        NOT_AN_EVENT % 2,
        REMEDY,
    ),
    "starts elsewhere": (
        b"".join(LINES[1:]),
        "{path}: a recording starts with an event of type run, this one with something else",
        "",
    ),
    "newer": (
        NEWER + LINES[2],
        "{path} has schema version 2; this looprig reads up to 1: upgrade looprig",
        "",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable(name: str, tmp_path: Path):
    """
    What is no whole recording is refused with the file, the line and the remedy.
    """
    content, start, end = UNREADABLE[name]
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)

    with pytest.raises(TraceError) as caught:
        list(read(path))

    message = str(caught.value)
    assert message.startswith(start.format(path=path))
    assert message.endswith(end)
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300


@given(size=st.integers(0, sum(map(len, LINES)) - 2))
def test_cut_anywhere(tmp_path_factory: pytest.TempPathFactory, size: int):
    """
    Wherever a recording is cut off, that is noticed.
    """
    path = tmp_path_factory.getbasetemp() / "cut.jsonl"
    path.write_bytes(b"".join(LINES)[:size])

    with pytest.raises(TraceError):
        list(read(path))


def test_read_bit_by_bit(tmp_path: Path):
    """
    The events before a broken line are still to be had.
    """
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"".join(LINES[:2]) + b"!\n")
    events = read(path)

    assert [RUN, SYSTEM] == [next(events), next(events)]
    with pytest.raises(TraceError):
        next(events)


def test_no_file(tmp_path: Path):
    """
    A missing file and a folder are refused with the reason.
    """
    for path, reason in ((tmp_path / "gone", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(TraceError) as caught:
            list(read(path))
        assert f"cannot read the recording {path}: {reason}" == str(caught.value)


def test_schema_version():
    """
    The version stands in the first line only where it is not the first one, which readers take for granted.
    """
    assert 1 == SCHEMA_VERSION
    assert 1 == typing.cast(Run, decode(LINES[0])).schema_version


# ---------------------------------------------------------------------------------------------------------------------
# What cannot be written

WRITE_REMEDY = "; choose another folder with --traces DIR, or run with --no-traces"


@pytest.fixture
def full_disk(tmp_path: Path) -> Path:
    """A file on a disk that has no room left."""
    if not Path("/dev/full").exists():
        pytest.skip("this platform has no /dev/full")
    path = tmp_path / "run.jsonl"
    path.symlink_to("/dev/full")
    return path


def test_full_disk(full_disk: Path):
    """
    A full disk is noticed, at the latest when the recording is closed.
    """
    message = f"cannot write the recording {full_disk}: No space left on device{WRITE_REMEDY}"
    recording = Recording(full_disk)
    recording.write(RUN)
    with pytest.raises(TraceError) as caught:
        recording.close()
    assert message == str(caught.value)
    recording.close()  # and a second time says nothing new

    recording = Recording(full_disk)
    with pytest.raises(TraceError) as caught:
        recording.write(SystemAdded(session=0, text="x" * 100_000))
    assert message == str(caught.value)
    recording.close()


@pytest.mark.parametrize("messages", ["3", "500"])
def test_full_disk_in_a_run(messages: str, full_disk: Path):
    """
    A run whose recording cannot be written fails, early or late, although loops swallow exceptions.
    """
    scenario = make_scenario("long_conversation", 1, {"messages": messages})

    with pytest.raises(TraceError, match="No space left on device"):
        run(scenario, make_loop, options=RunOptions(trace=full_disk))


def test_disk_that_fills_up(full_disk: Path, tmp_path: Path):
    """
    What was written before the disk was full stays, and can be read up to there.
    """
    path = tmp_path / "filling.jsonl"
    recording = Recording(path)
    recording.write(RUN)
    recording.write(SYSTEM)
    assert recording._file is not None
    recording._file.flush()
    with full_disk.open("wb") as full:
        os.dup2(full.fileno(), recording._file.fileno())
    with pytest.raises(TraceError):
        recording.write(SystemAdded(session=0, text="x" * 100_000))
    recording.close()

    events = read(path)
    assert [RUN, SYSTEM] == [next(events), next(events)]
    with pytest.raises(TraceError, match="was cut short after line 2"):
        next(events)


def test_unwritable(tmp_path: Path):
    """
    A place where nothing can be written is refused before anything runs.
    """
    (tmp_path / "file").touch()
    for path, reason in ((tmp_path / "file" / "run.jsonl", "File exists"), (tmp_path, "Is a directory")):
        with pytest.raises(TraceError) as caught:
            run(make_scenario("working_day", 1), make_loop, options=RunOptions(trace=path))
        assert f"cannot write the recording {path}: {reason}{WRITE_REMEDY}" == str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(tmp_path: Path):
    """
    A folder that belongs to somebody else is refused.
    """
    tmp_path.chmod(0o500)

    with pytest.raises(TraceError, match="Permission denied"):
        Recording(tmp_path / "run.jsonl")
