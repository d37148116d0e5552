"""The claims of the seed report: every verdict follows from figures, and the code that the report prints is rebuilt."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from looprig import target
from looprig.messages import Message
from looprig.phase3 import claim as claims
from looprig.phase3.bench import QUICK, Bench, CannotMeasure
from looprig.phase3.claim import Claim, Figure, Judged, Measured, Value, Verdict, judge
from looprig.phase3.listing import Listing
from looprig.phase3.study import CLAIMS

IDS = [*(f"A{n}" for n in range(1, 11)), *(f"B{n}" for n in range(1, 10)), *(f"C{n}" for n in range(1, 5))]
IDS += [*(f"D{n}" for n in range(1, 10)), *(f"P{n}" for n in range(1, 6))]

PLANTED: Mapping[str, tuple[Mapping[str, Value], Mapping[str, Value]]] = {
    "A1": ({"wrong": 0}, {"wrong": 1}),
    "A2": ({"more": 0, "short": 1}, {"more": 0, "short": 2}),
    "A3": ({"lost": 0}, {"lost": 1}),
    "A4": ({"in_turn": 1}, {"in_turn": 0}),
    "A5": ({"least": 0.75}, {"least": 0.74}),
    "A6": ({"different": 2}, {"different": 1}),
    "A7": ({"usual": 0, "small": 0}, {"usual": 0, "small": 1}),
    "A8": ({"share": 0.05}, {"share": 0.06}),
    "A9": ({"moved": 6, "trims": 11}, {"moved": 5, "trims": 11}),
    "A10": ({"early": 100, "late": 110}, {"early": 100, "late": 111}),
    "B1": (
        {"above_5": "WARNING", "at_5": "INFO", "above_1": "INFO", "below_1": "DEBUG"},
        {"above_5": "WARNING", "at_5": "WARNING", "above_1": "INFO", "below_1": "DEBUG"},
    ),
    "B2": ({"timed": 5, "done": 5, "covered": 0.99}, {"timed": 5, "done": 5, "covered": 0.98}),
    "B3": ({"points": 5, "per_tool": 1}, {"points": 4, "per_tool": 1}),
    "B4": ({"negative": 0, "printed": 1000}, {"negative": 1, "printed": 1000}),
    "B5": ({"utilisation": 0.5, "same": 0.5, "text": 1.1}, {"utilisation": 0.5, "same": 0.5, "text": 1.2}),
    "B6": ({"alerts": 1}, {"alerts": 0}),
    "B7": ({"counted": 100, "failed": 10}, {"counted": 100, "failed": 9}),
    "B8": ({"errors": 2, "traced": 2, "failures": 2}, {"errors": 2, "traced": 1, "failures": 2}),
    "B9": ({"all": 999}, {"all": 1000}),
    "C1": ({"wrong": 0}, {"wrong": 1}),
    "C2": ({"trims": 1, "longest": 308, "trigger": 307}, {"trims": 1, "longest": 309, "trigger": 307}),
    "C3": ({"taken": 7.9, "one_by_one": 8.0}, {"taken": 8.0, "one_by_one": 8.0}),
    "C4": ({"crashed": 0, "misjudged": 0}, {"crashed": 0, "misjudged": 1}),
    "D1": ({"total": 999}, {"total": 1000}),
    "D2": ({"final": 340, "utilisation": 1.66}, {"final": 341, "utilisation": 1.66}),
    "D3": ({"after": 0.9, "before": 1.0}, {"after": 1.0, "before": 1.0}),
    "D4": ({"worse": 0, "broken": 0}, {"worse": 1, "broken": 0}),
    "D5": ({"named": 6, "hold": 6}, {"named": 6, "hold": 5}),
    "D6": ({"named": 4, "hold": 4}, {"named": 4, "hold": 3}),
    "D7": ({"met": 8, "objectives": 8}, {"met": 7, "objectives": 8}),
    "D8": ({"failing": 0, "share": 1}, {"failing": 1, "share": 1}),
    "D9": ({"numbered": 12, "rows": 12}, {"numbered": 11, "rows": 12}),
    "P1": ({"speedup": 2.0}, {"speedup": 1.9}),
    "P4": ({"asked": 9, "invariants": 10, "worse": 1}, {"asked": 9, "invariants": 10, "worse": 0}),
    "P5": ({"files": 1}, {"files": 0}),
}
"""For each rule, values right inside and right outside of it."""

FINDINGS = {
    "A1": (Verdict.CONFIRMED, True),
    "A3": (Verdict.REFUTED, True),
    "A4": (Verdict.REFUTED, True),
    "A6": (Verdict.REFUTED, False),
    "A10": (Verdict.NOT_MEASURABLE, True),
    "B1": (Verdict.CONFIRMED, True),
    "B4": (Verdict.REFUTED, True),
    "B7": (Verdict.REFUTED, True),
    "B8": (Verdict.REFUTED, True),
    "C1": (Verdict.NOT_MEASURABLE, True),
    "C2": (Verdict.REFUTED, True),
    "C4": (Verdict.REFUTED, True),
    "D2": (Verdict.CONFIRMED, None),
    "D3": (Verdict.REFUTED, False),
    "D9": (Verdict.REFUTED, None),
    "P2": (Verdict.NOT_MEASURABLE, None),
}
"""What is known of the seed without measuring it here, and whether it holds for ours."""


def with_values(claim: Claim, values: Mapping[str, Value], *, noisy: bool = False) -> Judged:
    measured = Measured({name: Figure(name, value, noisy=noisy) for name, value in values.items()})
    return Judged(claim, dict.fromkeys(claim.on, measured))


def test_every_claim_is_there():
    """
    The registry holds every claim of the report's algorithm, monitoring, tools and figures, and its promises.
    """
    assert IDS == list(CLAIMS)


@pytest.mark.parametrize("name", [name for name in IDS if CLAIMS[name].holds is not None])
def test_verdict_flips_with_the_figures(name: str):
    """
    A rule confirms values right inside of it and refutes those right outside; what cannot be measured stays so.
    """
    claim = CLAIMS[name]
    inside, outside = (with_values(claim, values) for values in PLANTED[name])
    expected = [Verdict.NOT_MEASURABLE] * 2 if claim.reason else [Verdict.CONFIRMED, Verdict.REFUTED]

    assert expected == [inside.verdict, outside.verdict]
    if claim.judges_ours and "ours" in claim.on:
        assert [True, False] == [inside.ours_holds, outside.ours_holds]


@pytest.mark.parametrize("name", IDS)
def test_claim_says_what_it_rests_on(name: str):
    """
    A claim has words and a place; what is not measurable has a reason, and what is measured has a rule in words.
    """
    claim = CLAIMS[name]

    assert claim.words
    assert claim.where
    assert claim.reason or claim.on
    assert bool(claim.rule) == (claim.holds is not None) == (claim.measure is not None) == bool(claim.on)


@pytest.mark.parametrize("name", FINDINGS)
def test_findings(name: str):
    """
    What is known of the seed's rule and of its printed code comes out by measuring, and so does the state of ours.
    """
    found = judge(CLAIMS[name], Bench(QUICK))

    assert FINDINGS[name] == (found.verdict, found.ours_holds)


def test_noisy_verdict_is_marked():
    """
    A verdict is noisy exactly if its rule looked at a noisy figure.
    """
    values = {"failing": 1, "share": 0.5}
    figures = {"failing": Figure("", 1), "share": Figure("", 0.5, noisy=True)}

    assert not Judged(CLAIMS["D8"], {"seed": Measured(figures)}).is_noisy()
    figures["failing"] = Figure("", 0)
    assert Judged(CLAIMS["D8"], {"seed": Measured(figures)}).is_noisy()
    assert not with_values(CLAIMS["C1"], {"wrong": 0}, noisy=True).is_noisy()
    assert with_values(CLAIMS["D8"], values, noisy=True).is_noisy("ours")


def test_what_cannot_be_measured_is_named(monkeypatch: pytest.MonkeyPatch):
    """
    Where a piece is missing that a claim is measured by, the error names the claim and the piece.
    """
    monkeypatch.setattr(target, "REFERENCE", "looprig")

    with pytest.raises(
        CannotMeasure, match=r"claim B7 cannot be measured: TargetError: there is no module 'looprig\.monitor'"
    ):
        judge(dataclasses.replace(CLAIMS["B7"], on=("ours",)), Bench(QUICK))


def test_claim_is_measured_once():
    """
    A claim that another one rests on is not measured again.
    """
    calls: list[claims.Who] = []

    def measure(bench: Bench, who: claims.Who) -> Measured:
        calls.append(who)
        return Measured({"x": Figure("x", 1)})

    claim = Claim(id="X1", words="x", where="x", rule="x", measure=measure, holds=lambda v: v["x"] == 1)
    bench = Bench(QUICK)

    assert judge(claim, bench) is judge(claim, bench)
    assert ["seed", "ours"] == calls


@pytest.mark.parametrize("pairs", [0, 1, 4, 7, 50])
def test_printed_code_trims_like_the_incremental_policy(pairs: int):
    """
    The trim that the report prints and the reference loop's policy of that name keep the same messages.
    """
    history = target.part("history", "History")(target.part("policies", "POLICIES")["incremental"](pairs, None, None))
    listing = Listing(pairs)
    for count in range(4 * pairs + 20):
        message = Message(role="user", content=str(count))
        history.append(message)
        listing.history.append(message)
        listing.trim()

        assert list(history.request()) == listing.history
