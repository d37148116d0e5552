"""What the reports of a gate must never do: outgrow their reader, let a text escape, or disagree."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig import content, suite, target
from looprig.exits import Exit
from looprig.gate.checks import Check, Gated, Played, Status
from looprig.gate.config import ConfigError
from looprig.report import gate_github, gate_json, gate_junit, gate_markdown, gate_words
from looprig.report.gate_outputs import FORMATS, Output, rendered, write
from looprig.report.results import as_json
from looprig.report.table import visible
from looprig.verdicts import Comparison, Layer, Verdict

NASTY = "50 % of\r\n::error::it, a:b | `x` </details> <!-- --> \x1b[2J \u202e \ud800"


@pytest.fixture(scope="module")
def played() -> Played:
    step = suite.Step(content.find_scenario("repeated_ids"), 1, target.find("reference"), SMALL)
    return Played("repeated_ids", step, step.run())


SMALL = suite.Settings(parameters={"turns": "2"})


def gated(played: Played, *checks: Check, strict: bool = False) -> Gated:
    return Gated("app:make_loop", "main", [played], checks, where=("app.py", 3), strict=strict)


def check(status: Status, name: str = "tokens_sent", why: str = "too many", **more) -> Check:
    comparison = Comparison("repeated_ids", "tokens_sent", 1.0, 2.0, Verdict.REGRESSED, unit="tokens")
    return Check("repeated_ids", name, status, why, limit="no worse", comparison=comparison, **more)


@pytest.mark.parametrize(
    ("statuses", "strict", "code"),
    [
        ([Status.PASSED], False, Exit.PASSED),
        ([Status.PASSED, Status.WAIVED, Status.SKIPPED], True, Exit.PASSED),
        ([Status.UNDECIDED], False, Exit.PASSED),
        ([Status.UNDECIDED], True, Exit.UNDECIDED),
        ([Status.EXCEEDED, Status.UNDECIDED], True, Exit.REGRESSED),
        ([Status.UNDECIDED, Status.EXCEEDED, Status.BROKEN], True, Exit.VIOLATED),
        ([Status.SKIPPED], True, Exit.NOTHING_RAN),
        ([], False, Exit.NOTHING_RAN),
    ],
)
def test_exit_code(played: Played, statuses: list[Status], strict: bool, code: Exit):
    """
    A broken invariant goes before a limit before what is undecided, and only under --strict is that last one bad.
    """
    assert code == gated(played, *map(check, statuses), strict=strict).exit


@pytest.mark.parametrize("number", [0, 1, 40, 400, 20_000])
def test_comment_fits(played: Played, number: int):
    """
    However much is wrong, the comment stays below 60 kB, keeps its marker, verdict and advice, and counts what it cut.
    """
    page = gate_markdown.comment(gated(played, *(check(Status.BROKEN, why=f"{NASTY} {n}") for n in range(number))))

    assert len(page.encode("utf-8", "surrogatepass")) < gate_markdown.COMMENT_MAX
    assert page.startswith(f"{gate_markdown.MARKER}\n### ")
    assert page.count("**What now:**") == 1
    assert page.count("<details>") == page.count("</details>") == 1
    shown = sum(line.startswith("| repeated") for line in page.splitlines())
    more = re.search(r"and ([\d,]+) more rows?, which", page)
    assert number == shown + (int(more[1].replace(",", "")) if more else 0)
    assert shown or not number, "as many rows as fit are shown"


def test_summary_fits(played: Played):
    """
    A step's summary has more room, and is bounded too.
    """
    page = gate_markdown.summary(gated(played, *(check(Status.BROKEN, why=f"{NASTY} {n}") for n in range(4_000))))

    assert gate_markdown.COMMENT_MAX < len(page.encode()) <= gate_markdown.SUMMARY_MAX


@given(text=st.text(), name=st.text(min_size=1))
def test_annotation_is_one_line(text: str, name: str):
    """
    Nothing that a loop wrote can start a workflow command of its own, or end the properties of ours.
    """
    line = gate_github.of_problem(text, name, 3)

    assert not re.search("[\r\n]", line)
    found = re.fullmatch(r"::error file=([^:,]*),line=3,title=[^:,]*::(.*)", line)
    assert found
    assert found[2].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%") == visible(text)


def test_annotation_to_the_letter(played: Played):
    """
    The place, the title and the message are written as GitHub's toolkit escapes them.
    """
    lines = gate_github.as_annotations(gated(played, check(Status.EXCEEDED, why="50 % more", replay="looprig run x")))

    assert lines.splitlines()[0] == (
        "::error file=app.py,line=3,title=looprig%3A tokens_sent in repeated_ids::"
        "50 %25 more%0Areplay with: looprig run x"
    )


@pytest.mark.parametrize("number", [1, 10, 11, 300])
def test_annotations_are_ten(played: Played, number: int):
    """
    GitHub shows ten of a kind: never more are written, and the last one counts the rest.
    """
    lines = gate_github.as_annotations(gated(played, *(check(Status.EXCEEDED, why=f"{n}") for n in range(number))))

    errors = [line for line in lines.splitlines() if line.startswith("::error")]
    assert min(number, 10) == len(errors)
    assert (f"and {number - 9} more" in errors[-1]) == (number > 10)


@given(text=st.text(st.characters(codec=None), max_size=80))
def test_junit_holds_any_text(text: str):
    """
    Whatever a loop wrote, the XML can be read back, by another reader too.
    """
    made = gate_junit.of_problem(text).encode()

    assert ElementTree.fromstring(made).find(".//error") is not None  # noqa: S314 - it is ours
    (suite_read,) = junitparser.JUnitXml.fromstring(made)
    assert suite_read.errors == 1


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("status", Status)
def test_every_format_takes_every_status(played: Played, layout: str, status: Status):
    """
    Each format has words for each status, and nothing in a text gets out of its place.
    """
    text = rendered(gated(played, check(status, why=NASTY), strict=True), layout)

    text.encode()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\n::error::it" not in text
    assert text.count("</details>") <= 1


@pytest.mark.parametrize("layout", FORMATS)
def test_every_format_takes_a_problem(layout: str):
    """
    A gate that could not start says so in each format; at a terminal the line on standard error does.
    """
    text = rendered(ConfigError(f"pyproject.toml:3: {NASTY}", 3), layout)

    text.encode()
    assert ("pyproject.toml" in text) == (layout != "table")
    assert "\x1b" not in text


def test_estimate(played: Played):
    """
    An estimate is shown with its interval, an exact change without.
    """
    timed = Comparison(
        "repeated_ids",
        "cpu_time_per_message_us",
        10.0,
        11.0,
        Verdict.REGRESSED,
        Layer.CPU_TIME,
        unit="us",
        ratio=1.1,
        interval=(1.05, 1.16),
        note="7 pairs",
    )
    page = gated(played, Check("repeated_ids", "cpu time", Status.EXCEEDED, "slower", comparison=timed))

    assert "+10.0 % (+5.0 to +16.0)" in rendered(page, "table")
    assert "slower; 7 pairs" in rendered(page, "markdown")
    assert gate_words.changed_by(Comparison("x", "requests", 10, 11, Verdict.REGRESSED)) == "+10.0 %"
    assert '"interval": [\n          1.05' in as_json(gate_json.as_data(page))


def test_files(played: Played, tmp_path: Path):
    """
    Several formats in one run; the summary is added to what the step had, all else is written anew.
    """
    summary, junit = tmp_path / "summary.md", tmp_path / "new" / "gate.xml"
    summary.write_text("before\n")
    outputs = [Output.parse(text) for text in ("table=-", "github=-", f"junit={junit}")]

    printed = write(gated(played, check(Status.PASSED)), outputs, environment={"GITHUB_STEP_SUMMARY": str(summary)})

    assert ["table", "github"] == [layout for layout, _ in printed]
    assert junit.exists()
    assert summary.read_text().startswith("before\n### ✅ looprig gate")


@pytest.mark.parametrize("text", ["json", "json=", "=x", "xml=x", "table"])
def test_bad_output(text: str):
    """
    An output that is none says what would be.
    """
    with pytest.raises(ValueError, match=r"--output takes FORMAT=FILE with one of table, json"):
        Output.parse(text)
