"""Runs a recorded conversation again, or judges the recording as it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from looprig.clock import RealClock, VirtualClock
from looprig.invariants import RULES, Checker, Violation
from looprig.observe import views
from looprig.report.figures import count
from looprig.report.table import visible
from looprig.runner import RunOptions, recorded_scenario, run
from looprig.target import Target, TargetError, find
from looprig.trace import RunEnded, SessionStarted, read

__all__ = ["Seen", "TargetError", "again", "judge"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a replay showed, for people, and whether an invariant broke."""

    text: str
    broken: bool


def judge(path: Path) -> Seen:
    """Judge a recording without running anything.

    Raises:
        TraceError: where the file is no whole recording.
    """
    checker = Checker()
    for view in views(read(path)):
        checker.see(view)
    return Seen(_verdict(f"judged {path.name}", checker.violations, checker.broken), bool(checker.broken))


def again(path: Path, target: Target | None) -> Seen:
    """Run the recorded conversation again, against the recorded loop or another one.

    Raises:
        TraceError: where the file is no whole recording.
        TargetError, LoopError: where the loop cannot be had or driven.
    """
    head, scenario = recorded_scenario(path)
    providers = next((event.contract.providers for event in read(path) if isinstance(event, SessionStarted)), ())
    target = target or find(head.loop)
    outcome = run(
        scenario,
        target.make(),
        loop=target.spec,
        clock=RealClock() if head.clock == "real" else VirtualClock(),
        options=RunOptions(tokens=head.tokens, providers=providers),
    )
    if outcome.unusable:
        raise TargetError(outcome.unusable)
    recorded = next(event.digest for event in read(path) if isinstance(event, RunEnded))
    said = _same(recorded, outcome.digest, target.spec == head.loop)
    title = f"{head.scenario}, seed {head.seed}, loop {target.spec}: {said}"
    return Seen(_verdict(title, outcome.violations, outcome.broken), bool(outcome.broken))


def _same(recorded: str, digest: str, same_loop: bool) -> str:
    if recorded == digest:
        return f"the same as recorded (digest {digest})"
    why = "the loop was changed, or is not deterministic" if same_loop else "another loop"
    return f"not the same as recorded ({why}): digest {digest}, recorded {recorded}"


def _verdict(title: str, violations: Sequence[Violation], broken: Mapping[str, int]) -> str:
    lines = [title]
    for code, number in sorted(broken.items()):
        found = next(found for found in violations if found.code == code)
        request = f", request {found.request}" if found.request is not None else ""
        lines += [
            f"✗ {code} {RULES[code].name}: broken {count(number, 'time')}",
            f"    turn {found.turn}{request}: {visible(found.because)}",
        ]
        if found.shape:
            lines.append(f"    sent: {found.shape}")
    lines.append(f"FAILED  {count(len(broken), 'invariant')} broken" if broken else "PASSED  no invariant broken")
    return "\n".join(lines)
