"""What the claims are measured with: the three loops, conversations made for one question, log capture, CPU time."""

from __future__ import annotations

import gc
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from looprig import content, target
from looprig.compare import Side, play_sides
from looprig.content import ScenarioFile
from looprig.progress import Tell
from looprig.runner import Outcome, RunOptions, run
from looprig.scenario import PlannedCall, Round, Scenario, Turn, user_text
from looprig.suite import Settings

BEFORE = "reference,policy=end-of-turn,parallel=off,monitor=off"
SEED = "reference,policy=seed,parallel=off"
OURS = "reference,policy=grouped"
SEED_RULE = "reference,policy=incremental"
"""The seed's incremental trim alone, looked at after every append: what its thresholds are read from."""

UNTRIMMED = "reference,policy=never"
"""A loop whose history grows without end."""

LOOPS: Mapping[str, str] = {"before": BEFORE, "seed": SEED, "ours": OURS}

PAIRS = 100
"""``max_history_pairs`` of the seed's benchmark, as 340 messages at a utilisation of 1.66 give it away."""

ROUNDS_MAX = 5
"""The seed's cap of model steps in one turn."""


def rule_of(who: str) -> str:
    """Return the loop whose trim rule is looked at by itself."""
    return SEED_RULE if who == "seed" else OURS


def loop_of(who: str) -> str:
    """Return the loop as it is used."""
    return LOOPS[who]


class CannotMeasure(Exception):
    """Something that a claim is measured by is not there or does not work; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured.

    ``pairs`` are the values of ``max_history_pairs`` that thresholds are checked for, ``reach`` those of the table of
    reach; ``settings`` are scenario parameters; ``seeds`` are paired; ``rounds`` is how often noisy figures are taken.
    """

    pairs: Sequence[int] = (*range(41), 50, 64, PAIRS)
    reach: Sequence[int] = (5, 10, 20, 50, PAIRS)
    turns: int = 60
    seeds: int = 5
    rounds: int = 25
    standard_rounds: int = 3
    settings: Mapping[str, str] = field(default_factory=dict)


FULL = Sizes()
QUICK = Sizes(
    pairs=(0, 1, 4, 10, PAIRS),
    reach=(5, 10),
    turns=20,
    seeds=2,
    rounds=2,
    standard_rounds=1,
    settings={"messages": "200", "turns": "30", "rounds": "40", "depth": "1000", "sessions": "2", "conversations": "1"},
)


@dataclass(slots=True)
class Watched:
    """What one run showed to a listener: trims as (before, after), the longest history, and the loop itself."""

    outcome: Outcome
    loop: Any
    trims: list[tuple[int, int]]
    peak: int


class _Watcher:
    def __init__(self) -> None:
        self.trims: list[tuple[int, int]] = []
        self.peak = 0

    def appended(self, length: int) -> None:
        self.peak = max(self.peak, length)

    def trimmed(self, before: int, after: int, pause_ns: int) -> None:
        self.trims.append((before, after))


class Bench:
    """Measures, and remembers what several claims ask for."""

    def __init__(self, sizes: Sizes = FULL, tell: Tell | None = None) -> None:
        self.sizes = sizes
        self.judged: dict[str, object] = {}
        """Claims that are judged, by id; kept by `looprig.phase3.claim.judge`."""
        self._tell = tell or Tell(lambda _number, _name: None, lambda _done, _turns: None)
        self._sides: dict[tuple[str, ...], Sequence[Side]] = {}

    def compared(self) -> Sequence[Side]:
        """Return before, the seed's after and ours over the standard scenarios, in interleaved runs."""
        return self._standard((BEFORE, SEED, OURS), self.sizes.standard_rounds)

    def standard(self, spec: str) -> Side:
        """Return one loop over the standard scenarios."""
        return self._standard((spec,), 1)[0]

    def _standard(self, specs: tuple[str, ...], rounds: int) -> Sequence[Side]:
        if specs not in self._sides:
            files = [ScenarioFile(path.stem, path) for path in sorted(_standard().glob("[!_]*.py"))]
            settings = Settings(parameters=self.sizes.settings)
            quiet = Tell(lambda _number, _name: None, self._tell.turn)
            self._sides[specs] = play_sides([target.find(spec) for spec in specs], files, settings, rounds, quiet)
        return self._sides[specs]

    def scenario(self, name: str, seed: int = 1, **settings: str) -> Scenario:
        """Return a standard scenario in the size of this bench, unless *settings* say otherwise."""
        file = ScenarioFile(name, _standard() / f"{name}.py")
        mine = {key: text for key, text in self.sizes.settings.items() if content.accepts(file, key)}
        return file.make(seed, mine | settings)

    def watch(self, spec: str, scenario: Scenario, tools: object = None, **options: Any) -> Watched:
        """Play without judging, and listen to the history; *options* are the loop's, *tools* instead of the rig's."""
        found, watcher, made = target.find(spec), _Watcher(), []

        def factory(model: Any, rig_tools: Any) -> Any:
            loop = found.factory(model, rig_tools if tools is None else tools, **{**found.options, **options})
            loop.observe(watcher)
            made.append(loop)
            return loop

        outcome = run(scenario, factory, loop=spec, options=RunOptions(judge=False))
        return Watched(outcome, made[0], watcher.trims, watcher.peak)

    def cpu_ns(self, operations: int, **works: Callable[[], object]) -> dict[str, float]:
        """Return CPU ns per operation of each work, all of them interleaved; the least of several rounds."""
        least = dict.fromkeys(works, math.inf)
        enabled = gc.isenabled()
        gc.disable()
        try:
            for _ in range(self.sizes.rounds):
                for name, work in works.items():
                    started_ns = time.thread_time_ns()
                    work()
                    least[name] = min(least[name], (time.thread_time_ns() - started_ns) / operations)
        finally:
            if enabled:
                gc.enable()
        return least


def _standard() -> Path:
    """Return the folder of the standard scenarios: what is measured is not what a user calls by the same name."""
    return content.standard("scenarios")


def with_pairs(spec: str, pairs: int) -> str:
    """Return the loop's text form with another ``max_history_pairs``."""
    return f"{spec},max_history_pairs={pairs}"


# -- conversations -------------------------------------------------------------------------------


def conversation(*turns: Callable[[int], Turn]) -> Scenario:
    """Return these turns, each made from its number."""
    return Scenario(name="made_for_a_claim", seed=1, turns=tuple(make(number) for number, make in enumerate(turns)))


def plain(text: str = "and then?", system: tuple[str, ...] = ()) -> Callable[[int], Turn]:
    """Return a turn of two messages, user and answer, and the system messages before it."""
    return lambda number: Turn(say=user_text(0, number, text), answer=text, system=system)


def working(rounds: int, *calls: PlannedCall, text: str = "go on") -> Callable[[int], Turn]:
    """Return a turn of *rounds* rounds, each with all of *calls*."""
    return lambda number: Turn(say=user_text(0, number, text), answer="done", rounds=(Round(calls=calls),) * rounds)


def lookup(duration_s: float = 0.0, result: str = "found") -> PlannedCall:
    """Return a call that conflicts with nothing."""
    return PlannedCall(name="search", inputs={"query": "x"}, result=result, duration_s=duration_s)


# -- what a loop logs ----------------------------------------------------------------------------


@contextmanager
def logged() -> Iterator[list[logging.LogRecord]]:
    """Collect everything that is logged in the block, from DEBUG on, and show none of it."""
    records: list[logging.LogRecord] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers[:] = [Collector()]
    root.setLevel(logging.DEBUG)
    try:
        yield records
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
