"""A gate as JUnit XML: one suite for each run, one case for each check."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from looprig.gate.checks import Check, Gated, Played, Status
from looprig.report import gate_words as words
from looprig.report.table import visible
from looprig.report.text import violation


def as_junit(gated: Gated) -> str:
    """Return the gate as JUnit XML.

    A broken invariant and an exceeded limit are failures. What is undecided is skipped, and an error under
    ``--strict``: it is neither a pass nor a failure. What is waived is skipped, with its reason.
    """
    root = ElementTree.Element("testsuites", name="looprig gate")
    played = {one.label: one for one in gated.played}
    checks: dict[str, list[Check]] = {label: [] for label in played}
    for check in gated.checks:
        checks.setdefault(check.scenario, []).append(check)  # how costs grow is seen in a scenario of its own
    for label, mine in checks.items():
        root.append(_suite(gated, label, played.get(label), mine))
    if not gated.ran:
        root.append(_suite_of_error("ran", words.summary(gated)))
    return _text(root)


def of_problem(text: str) -> str:
    """Return JUnit XML for a gate that could not start."""
    root = ElementTree.Element("testsuites", name="looprig gate")
    root.append(_suite_of_error("configuration", text))
    return _text(root)


def _suite_of_error(name: str, text: str) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name="looprig gate", tests="1", errors="1", failures="0", skipped="0")
    case = ElementTree.SubElement(suite, "testcase", classname="looprig.gate", name=name)
    ElementTree.SubElement(case, "error", message=visible(text), type="error")
    return suite


def _suite(gated: Gated, label: str, one: Played | None, checks: Sequence[Check]) -> ElementTree.Element:
    cases = [_case(gated, one, check) for check in checks]
    numbers = {kind: sum(1 for case in cases if case.find(kind) is not None) for kind in _TAGS}
    suite = ElementTree.Element(
        "testsuite",
        name=label,
        tests=str(len(cases)),
        failures=str(numbers["failure"]),
        errors=str(numbers["error"]),
        skipped=str(numbers["skipped"]),
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(gated, one):
        ElementTree.SubElement(properties, "property", name=name, value=visible(value))
    suite.extend(cases)
    return suite


_TAGS = ("failure", "error", "skipped")


def _properties(gated: Gated, one: Played | None) -> Sequence[tuple[str, str]]:
    whole = (("loop", gated.loop), ("baseline", gated.baseline or "none"))
    if one is None:
        return whole
    return (
        *whole,
        ("seed", str(one.outcome.seed)),
        ("digest", one.outcome.digest),
        ("replay", one.step.replay_command()),
    )


def _case(gated: Gated, one: Played | None, check: Check) -> ElementTree.Element:
    scenario = one.step.file.name if one is not None else check.scenario
    case = ElementTree.Element("testcase", classname=visible(f"looprig.{scenario}"), name=visible(check.name))
    if check.status is Status.PASSED:
        return case
    why = visible(words.why(check))
    if check.status in (Status.BROKEN, Status.EXCEEDED):
        failure = ElementTree.SubElement(case, "failure", message=why, type=str(check.status))
        failure.text = visible_lines(violation(check.found, one.step)) if check.found and one else visible(check.limit)
    elif check.status is Status.UNDECIDED and gated.strict:
        ElementTree.SubElement(case, "error", message=why, type=str(check.status))
    else:
        ElementTree.SubElement(case, "skipped", message=f"{check.status}: {why}")
    return case


def visible_lines(lines: Sequence[str]) -> str:
    """Return lines that XML can hold, whatever a loop wrote."""
    return "\n".join(visible(line) for line in lines)


def _text(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode")
