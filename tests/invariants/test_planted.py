"""Every invariant finds the fault that is planted for it, passes correct loops, and judges something."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import msgspec
import pytest
from tabulate import tabulate

from looprig.invariants import RULES
from looprig.loop import Contract
from looprig.messages import Message
from looprig.runner import Outcome, RunOptions, run
from tests.invariants.planted import CORRECT, FAULTS, HARMLESS, SIZES, Async, Careful, Core, Planted, standard_scenario

SEEDS = (1, 2, 3)
LIVENESS = {"LR102", "LR103", "LR112", "LR144", "LR151", "LR153"}
"""The invariants that ask for something good to happen; a loop that does nothing breaks one of them."""


@cache
def outcome_of(loop: Callable[..., Any], name: str, seed: int) -> Outcome:
    return run(standard_scenario(name, seed), loop)


@cache
def found(planted: Planted) -> Outcome:
    return run(planted.made(), planted.loop)


def planted_id(planted: Planted) -> str:
    return f"{planted.code}-{planted.loop.__name__}"


@pytest.mark.parametrize("planted", FAULTS, ids=planted_id)
def test_planted_fault(planted: Planted):
    """
    A planted fault is found, under its own code.
    """
    outcome = found(planted)

    assert outcome.unusable is None
    assert planted.code in outcome.broken, outcome.broken
    assert planted.code in {violation.code for violation in outcome.violations}


@pytest.mark.parametrize("planted", FAULTS, ids=planted_id)
def test_planted_fault_is_the_only_difference(planted: Planted):
    """
    The loop that a fault is planted in breaks nothing in the same scenario.
    """
    whole = next(kind for kind in planted.loop.__mro__ if kind in CORRECT)

    assert {} == run(planted.made(), whole).broken


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("loop", [*CORRECT, *HARMLESS], ids=lambda loop: loop.__name__)
def test_correct_loop(loop: Any, name: str):
    """
    A correct loop breaks nothing in any standard scenario, whichever of the correct ways it takes.
    """
    for seed in SEEDS:
        outcome = outcome_of(loop, name, seed)

        assert outcome.unusable is None
        assert {} == outcome.broken, outcome.violations[0]


def test_table():
    """
    Of every invariant: its planted fault is found, and correct loops are judged by it and do not break it.
    """
    judged: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    for loop in CORRECT:
        for name in SIZES:
            outcome = outcome_of(loop, name, SEEDS[0])
            judged.update(outcome.judgements)
            broken.update(outcome.broken)
    rows = []
    for code, rule in RULES.items():
        for planted in (planted for planted in FAULTS if planted.code == code):
            words = f"{planted.loop.__name__}: {planted.fault}"
            rows.append((code, rule.name, words, found(planted).broken.get(code, 0), judged[code], broken[code]))

    header = ("code", "invariant", "planted fault", "found", "correct loops: judged", "broken")
    print("\n" + tabulate(rows, header, tablefmt="github"))

    assert set(RULES) == {code for code, *_ in rows}
    assert not [row for row in rows if not row[3]], "not found"
    assert not [row for row in rows if not row[4]], "not judged"
    assert not [row for row in rows if row[5]], "blamed without cause"


@pytest.mark.parametrize("loop", [Careful, Async], ids=lambda loop: loop.__name__)
def test_one_correct_loop_is_judged_by_nearly_all(loop: Any):
    """
    One correct loop with every promise is judged by all invariants but those about tokens, notes, cancellation and
    providers.
    """
    judged: Counter[str] = Counter()
    for name in SIZES:
        judged.update(outcome_of(loop, name, SEEDS[0]).judgements)

    elsewhere = {"LR106", "LR117", "LR201", "LR202", "LR203", "LR204"}
    assert {*elsewhere, *(() if loop is Async else ("LR156",))} == set(RULES) - set(+judged)


@pytest.mark.parametrize("code", RULES)
def test_twin(code: str):
    """
    Every invariant has a twin, another one, that a loop breaks which avoids the first by doing nothing.
    """
    rule = RULES[code]

    assert rule.twin in RULES
    assert rule.twin != code


@pytest.mark.parametrize("code", RULES)
def test_sentence(code: str):
    """
    Every invariant says in one sentence what must hold, and from where it is.
    """
    rule = RULES[code]

    assert rule.sentence.endswith(".")
    assert 20 < len(rule.sentence) <= 120
    assert rule.source


def test_codes():
    """
    A code stands for one invariant, and a name too.
    """
    assert len(RULES) == len({rule.name for rule in RULES.values()})
    assert all(code == rule.code for code, rule in RULES.items())


class SaysNothingNew(Careful):
    """Asks the model once, and gives a constant answer ever after."""

    def turn(self, text: str) -> Core:
        if self.history:
            return "Certainly!"
        return (yield from super().turn(text))

    def add_system(self, text: str) -> None: ...


class ForgetsToRun(Careful):
    """Answers with the text of the first reply, whatever tools it asks for."""

    def turn(self, text: str) -> Core:
        self.say(Message(role="user", content=text))
        reply = yield from self.ask()
        self.say(Message(role="assistant", content=reply.content or "Done."))
        return reply.content or "Done."


NeverRunsTools = next(planted.loop for planted in FAULTS if planted.loop.__name__ == "NeverRunsTools")


@pytest.mark.parametrize("loop", [SaysNothingNew, ForgetsToRun, NeverRunsTools], ids=lambda loop: loop.__name__)
@pytest.mark.parametrize("name", ["parallel_tools", "pending_calls", "long_tool_chain"])
def test_doing_nothing(loop: type[Any], name: str):
    """
    A loop that is safe because it does nothing useful breaks an invariant that asks for something.
    """
    assert LIVENESS & set(run(standard_scenario(name), loop).broken)


@pytest.mark.parametrize("code", RULES)
def test_waived(code: str):
    """
    A waived invariant is still judged, and what it finds is counted apart.
    """
    planted = next(planted for planted in FAULTS if planted.code == code)
    contract = msgspec.convert(planted.loop.contract, Contract, from_attributes=True)
    waiving = msgspec.structs.replace(contract, waive={code: "by design"})

    outcome = run(planted.made(), planted.loop, options=RunOptions(contract=waiving))

    assert found(planted).broken[code] == outcome.waived[code]
    assert code not in outcome.broken
