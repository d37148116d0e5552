"""One process of a conformance run: ``python -m looprig.conformance.worker FRAMEWORK PART FILE``.

It runs inside the framework's environment, and appends one line of JSON to the file for each result. So what was
found stays where a later trimmer crashes or hangs, and what a framework prints disturbs nobody.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from looprig.adapters import ADAPTERS
from looprig.conformance import agents
from looprig.conformance.data import AgentResult, Cell, Cost, Example, TrimmerResult, WholeRun
from looprig.conformance.jobs import Part
from looprig.subject import described
from looprig.trimmers import agent, cost, driver, letters
from looprig.trimmers.call import Caller, TrimFailed
from looprig.trimmers.contract import NotRepresentable, Subject
from looprig.trimmers.driver import Findings
from looprig.trimmers.frameworks import subjects

PLAY_S = 240.0
"""For playing one trimmer over all histories."""

WARM_S = 60.0
"""For the very first call of a trimmer."""

SIZES = (300, 1_000, 3_000, 10_000, 30_000)
"""The lengths of the histories on which a call is timed."""

CALL_S = 10.0
"""For one call on a long history."""


def trimmers(framework: str) -> Iterator[TrimmerResult]:
    """Yield what each trimmer of a framework did."""
    every = subjects(framework)
    for base, subject in zip(bases(framework, every), every, strict=True):
        try:
            yield tried(base, subject)
        except Exception as error:
            yield msgspec.structs.replace(base, failed=described(error))


def bases(framework: str, every: Sequence[Subject]) -> Iterator[TrimmerResult]:
    """Yield results without findings: which trimmers of which versions these are."""
    for subject in every:
        yield TrimmerResult(framework=framework, name=subject.name, packages=versions(subject.packages))


def tried(base: TrimmerResult, subject: Subject, sizes: Sequence[int] = SIZES) -> TrimmerResult:
    """Return *base* with what playing and timing the trimmer gives."""
    warm(subject)
    found = driver.play(subject, budget_s=PLAY_S)
    contract = subject.contract(20)
    return msgspec.structs.replace(
        base,
        unit=contract.unit if isinstance(contract.unit, str) else contract.unit.__name__.replace("_", " "),
        mode=contract.mode,
        runs=found.runs,
        cells=cells(found),
        worst_size=found.worst_size,
        chain_kept=found.chain_kept,
        not_held=found.unheld,
        altered=found.altered,
        altered_because=found.altered_because,
        cut_short=found.cut_short,
        cost=costs(cost.measure(subject, sizes, CALL_S)),
        whole_runs=list(map(whole_run, agent.play_all(subject))),
    )


def warm(subject: Subject) -> None:
    """Call a trimmer once without a verdict: what it imports late must not count as a call that hangs."""
    with Caller(WARM_S) as caller, contextlib.suppress(TrimFailed, NotRepresentable):
        caller.call(subject.make(2), subject.codec.load(letters.build(letters.read("U C1 T A U"))))


def cells(found: Findings) -> Mapping[str, Cell]:
    """Return what was found by rule."""
    return {
        code: Cell(applied=found.applied[code], broken=found.broken[code], example=_example(found, code))
        for code in found.applied
    }


def _example(found: Findings, code: str) -> Example | None:
    example = found.examples.get(code)
    if example is None:
        return None
    return Example(
        history=letters.folded(example.letters),
        messages=len(example.letters),
        limit=example.limit,
        result=example.result,
        because=example.because,
    )


def costs(measured: cost.Cost) -> Cost:
    """Return what calls cost."""
    return Cost(
        microseconds={str(size): us for size, us in measured.us.items()},
        exponent=measured.exponent,
        factor=measured.ratio(10_000),
        skipped="; ".join(f"{size:,}: {why}" for size, why in measured.skipped.items()),
    )


def whole_run(seen: agent.Requests) -> WholeRun:
    """Return the requests of a whole run as shares."""
    count = max(1, seen.count)
    return WholeRun(
        kind=seen.run,
        when=seen.when,
        requests=seen.count,
        refused={provider: times / count for provider, times in seen.refused.items()},
        system_lost=seen.system_lost / count,
        user_lost=seen.user_lost / count,
        emptied=seen.emptied / count,
        peak=seen.peak,
        trouble=seen.trouble,
    )


def agent_results(framework: str) -> Iterator[AgentResult]:
    """Yield what each agent of a framework did."""
    module = ADAPTERS[framework].partition(":")[0]
    for spec in agents.agents(framework):
        try:
            packages = versions(import_module(module).PACKAGES)
            yield agents.played(framework, spec, packages)
        except Exception as error:
            yield AgentResult(framework=framework, loop=spec, packages={}, failed=described(error))


def versions(packages: Sequence[str]) -> Mapping[str, str]:
    """Return the installed versions of *packages*."""
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


PARTS: Mapping[Part, Callable[[str], Iterator[TrimmerResult | AgentResult]]] = {
    "trimmers": trimmers,
    "agent": agent_results,
}


def main(framework: str, part: Part, file: Path) -> None:
    """Append the results of a framework's *part* to *file*, line by line."""
    with file.open("ab") as lines:
        for result in PARTS[part](framework):
            lines.write(msgspec.json.encode(result) + b"\n")
            lines.flush()


if __name__ == "__main__":
    _, framework, part, file = sys.argv
    main(framework, "agent" if part == "agent" else "trimmers", Path(file))
