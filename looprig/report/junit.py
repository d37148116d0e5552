"""JUnit XML, for the test tabs of CI systems: one case for each scenario and invariant."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from looprig.invariants import RULES
from looprig.report.table import visible
from looprig.report.text import violation
from looprig.runner import Outcome
from looprig.suite import Step


def as_junit(done: Sequence[tuple[Step, Outcome]], error: str | None = None) -> str:
    """Return the results as JUnit XML; an invariant that judged nothing is skipped, a run without verdict an error."""
    root = ElementTree.Element("testsuites", name="looprig")
    for step, outcome in done:
        root.append(_suite(step, outcome))
    if error is not None:
        suite = ElementTree.SubElement(
            root, "testsuite", name="looprig", tests="1", errors="1", failures="0", skipped="0"
        )
        case = ElementTree.SubElement(suite, "testcase", classname="looprig", name="run")
        ElementTree.SubElement(case, "error", message=visible(error))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _suite(step: Step, outcome: Outcome) -> ElementTree.Element:
    skipped = sum(1 for code in RULES if not outcome.judgements.get(code))
    suite = ElementTree.Element(
        "testsuite",
        name=f"{outcome.scenario} {outcome.loop} seed {outcome.seed}",
        tests=str(len(RULES)),
        failures=str(len(outcome.broken)),
        errors="1" if outcome.unusable else "0",
        skipped=str(skipped),
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("seed", str(outcome.seed)), ("digest", outcome.digest), ("replay", step.replay_command())):
        ElementTree.SubElement(properties, "property", name=name, value=value)
    for code, rule in RULES.items():
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"looprig.{outcome.scenario}", name=f"{code} {rule.name}"
        )
        if outcome.broken.get(code):
            found = next(found for found in outcome.violations if found.code == code)
            failure = ElementTree.SubElement(case, "failure", message=visible(found.because), type=code)
            failure.text = "\n".join(violation(found, step))
        elif not outcome.judgements.get(code):
            ElementTree.SubElement(case, "skipped", message="judged nothing in this run")
    if outcome.unusable:
        ElementTree.SubElement(
            ElementTree.SubElement(suite, "testcase", name="usable"), "error", message=visible(outcome.unusable)
        )
    return suite
