"""What a conformance run found, as values that are written as JSON and read again by the next run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

SCHEMA_VERSION = 1


class DataError(Exception):
    """A file that holds no results of a conformance run; the text says which and why."""


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest case that breaks a rule: a history in letters, the limit, what came out, and why it is a breach."""

    history: str
    messages: int
    limit: int
    result: str
    because: str


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What a trimmer did under one rule: how often the rule applied, how often it was broken, and the smallest case."""

    applied: int
    broken: int
    example: Example | None = None

    @property
    def share(self) -> float:
        """The share of the runs to which the rule applied that break it."""
        return self.broken / self.applied if self.applied else 0.0


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """CPU time of one call by the length of the history.

    ``exponent`` is that of its growth with the length: 1 is linear, 2 quadratic, None was not measured. ``factor`` is
    the time at ``at`` messages by that of a slice of the same history. ``skipped`` says what took too long.
    """

    microseconds: Mapping[str, float]
    exponent: float | None
    factor: float | None
    at: int = 10_000
    skipped: str = ""


class WholeRun(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's run with the trimmer as its history's policy; shares are of ``requests``, ``refused`` by provider."""

    kind: str
    when: str
    requests: int
    refused: Mapping[str, float]
    system_lost: float
    user_lost: float
    emptied: float
    peak: int
    trouble: str = ""


class TrimmerResult(msgspec.Struct, frozen=True, kw_only=True):
    """One trimmer. ``cells`` are by the code of the rule; ``failed`` says why there are none.

    ``environment`` is empty for the one with the newest versions.
    """

    framework: str
    name: str
    packages: Mapping[str, str]
    environment: str = ""
    unit: str = ""
    mode: str = ""
    runs: int = 0
    cells: Mapping[str, Cell] = {}
    worst_size: float = 0.0
    chain_kept: tuple[int, int] | None = None
    not_held: int = 0
    altered: int = 0
    altered_because: str = ""
    cut_short: str = ""
    cost: Cost | None = None
    whole_runs: Sequence[WholeRun] = ()
    failed: str = ""
    date: str = ""

    @property
    def key(self) -> str:
        """What tells this trimmer from all others, in this run and in the next; an old version is one of its own."""
        return f"{self.framework} {self.name}{f' ({self.environment})' if self.environment else ''}"


class Smallest(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest scenario that shows a violation: the request in letters, why, and the command that repeats it."""

    requests: int
    shape: str
    because: str
    replay: str


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One scenario against one agent. ``unusable`` says why the run is no verdict."""

    scenario: str
    parameters: Mapping[str, str]
    judged: int = 0
    broken: Mapping[str, int] = {}
    smallest: Mapping[str, Smallest] = {}
    metrics: Mapping[str, float] = {}
    unusable: str = ""


class ParallelTools(msgspec.Struct, frozen=True, kw_only=True):
    """How an agent runs the calls of one round.

    ``conflicts`` counts pairs of calls that touch the same thing, of which ``overlapping`` ran at once or in another
    order than asked: then running them together need not give what one by one gives. ``speedup`` is the time of all
    calls one by one by the time taken, ``possible`` the same where only conflicting calls wait for each other.
    ``joined`` counts pairs of neighbouring results, of which ``out_of_order`` do not stand in the order of their
    calls. ``sibling`` is what becomes of a turn where one of three calls fails.
    """

    conflicts: int
    overlapping: int
    speedup: float
    possible: float
    joined: int
    out_of_order: int
    sibling: str


class AgentResult(msgspec.Struct, frozen=True, kw_only=True):
    """An agent of a framework behind its adapter, ``loop`` with its options; ``failed`` says why nothing was played."""

    framework: str
    loop: str
    packages: Mapping[str, str]
    scenarios: Sequence[Played] = ()
    parallel: ParallelTools | None = None
    failed: str = ""
    date: str = ""


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """A part that ended early: what it was, and why; what it had found until then is kept."""

    framework: str
    part: str
    because: str


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one run found, with its date, its versions, and the machine that timings are from."""

    date: str
    looprig: str
    machine: Mapping[str, str | int] = {}
    trimmers: Sequence[TrimmerResult] = ()
    agents: Sequence[AgentResult] = ()
    troubles: Sequence[Trouble] = ()
    schema_version: int = SCHEMA_VERSION


def read(path: Path) -> Results | None:
    """Return the results at *path*, None where there is no such file.

    Raises:
        DataError: where the file holds something else.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(raw, type=Results)
    except msgspec.DecodeError as error:
        raise DataError(f"{path} does not hold the results of a conformance run: {error}; move it away") from error


def written(results: Results) -> str:
    """Return *results* as JSON, a line for each value, so that a version control system can show what changed."""
    return msgspec.json.format(msgspec.json.encode(results), indent=1).decode() + "\n"
