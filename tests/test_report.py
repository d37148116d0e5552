"""What people read is kept to the letter: tables, pages, figures."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig import compare, content, suite, target
from looprig.progress import Tell
from looprig.report import comparison, figures, junit, markdown, text
from looprig.report.table import Column, Table, as_markdown, as_text, escaped, visible
from looprig.runner import Outcome

GOLDEN = Path(__file__).parent / "golden"

FAITHFUL = "reference,policy=seed,max_history_pairs=10"
GROUPED = "reference,policy=grouped,max_history_pairs=10"
SILENT = Tell(lambda number, name: None, lambda turn, turns: None)


def done(names: tuple[str, ...], loop: str) -> list[tuple[suite.Step, Outcome]]:
    """Run scenarios as the command line does."""
    files = [content.find_scenario(name) for name in names]
    return [(step, step.run()) for step in suite.steps(files, target.find(loop), suite.Settings())]


def steady(page: str) -> str:
    """Return *page* without what differs between machines: CPU times, versions, cores, and the width they need."""
    page = re.sub(r"CPython [\d.]+, \d+ cores", "CPython, cores", page)
    page = re.sub(r"[\d,.]+ us", "~ us", page)
    page = re.sub(r"-{3,}", "---", page)
    page = re.sub(r" *\| *", " | ", page)
    return "\n".join(re.sub(r" {2,}", "  ", line).rstrip() for line in page.splitlines()) + "\n"


def golden(name: str, page: str) -> None:
    """Compare with the stored page; with LOOPRIG_UPDATE_GOLDEN=1 store it instead."""
    path = GOLDEN / name
    if os.environ.get("LOOPRIG_UPDATE_GOLDEN"):
        path.write_text(steady(page))
    assert path.read_text() == steady(page), "if the change is meant, run the test with LOOPRIG_UPDATE_GOLDEN=1"


def test_run_page():
    """
    The page of a run reads as it is stored.
    """
    runs = done(("repeated_ids", "many_systems"), FAITHFUL)

    golden("run.txt", text.run_page(runs) + text.verdict_line(runs))


def test_run_page_as_markdown():
    """
    So does its Markdown.
    """
    golden("run.md", markdown.run_page(done(("repeated_ids",), FAITHFUL)))


def test_compare_page():
    """
    The three before/after tables read as they are stored.
    """
    files = [content.find_scenario(name) for name in ("long_tool_chain", "parallel_tools")]
    sides = (target.find(FAITHFUL), target.find(GROUPED))
    compared = compare.compare(sides, files, suite.Settings(), 1, SILENT)

    golden("compare.txt", comparison.as_text(compared))
    golden("compare.md", comparison.as_markdown(compared))


TABLE = Table(
    "small table",
    [Column("name"), Column("value", "right"), Column("also", "right", drop=2), Column("last", drop=1)],
    [["1e5", "12", "3", "a|b"], ["x", "1,234", "5", "<b>"]],
    ["a note"],
)


def test_text_table():
    """
    A commit that looks like a number stays text, and numbers line up on the right.
    """
    assert as_text(TABLE).splitlines() == [
        "SMALL TABLE",
        "name      value    also  last",
        "------  -------  ------  ------",
        "1e5          12       3  a|b",
        "x         1,234       5  <b>",
        "a note",
    ]


def test_narrow_terminal():
    """
    Where a terminal is too narrow, the least important columns go first, and the table says so.
    """
    assert as_text(TABLE, 24).splitlines()[1] == "name      value  last"
    assert as_text(TABLE, 5).splitlines()[1] == "name      value"
    assert as_text(TABLE, 5).splitlines()[-1] == "some columns do not fit this terminal and are left out"


def test_markdown_table():
    """
    A cell cannot end its row or be read as markup.
    """
    assert as_markdown(TABLE).splitlines() == [
        "### small table",
        "",
        "| name   |   value |   also | last      |",
        "|:-------|--------:|-------:|:----------|",
        "| 1e5    |      12 |      3 | a\\|b      |",
        "| x      |   1,234 |      5 | &lt;b&gt; |",
        "",
        "a note",
    ]


@given(st.text(alphabet=st.characters(), max_size=30))
def test_visible(value: str):
    """
    Nothing that a loop or model wrote can move the reader's cursor, hide text or start a new line.
    """
    shown = visible(value)

    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
    shown.encode()


@given(st.text(alphabet="|<>&`*_[]\\\n a", max_size=20))
def test_escaped(value: str):
    """
    A Markdown cell has no bare markup in it, whatever it says.
    """
    cell = escaped(value)

    assert "\n" not in cell
    assert not re.search(r"(?<!\\)(\\\\)*[|`*_\[\]<>]", cell)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("trims", 1234, "1,234"),
        ("cached_prefix_share", 0.98765, "98.8 %"),
        ("utilisation_final", 1.66, "1.66"),
        ("overhead_per_message_us", 12.345, "12.3 us"),
        ("retained_bytes", 123_456, "123.5 kB"),
        ("turn_time_s_p99", 0.0125, "12.5 ms"),
        ("turn_time_s_p99", 75.5, "75.50 s"),
        ("turn_time_s_p99", 0.0, "0 s"),
        ("trims", None, "-"),
    ],
)
def test_figure(name: str, value: float | None, shown: str):
    """
    A value reads in its metric's unit.
    """
    assert shown == figures.figure(name, value)


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (100, 100, "same"),
        (100, 110, "+10.0 %"),
        (100, 90, "-10.0 %"),
        (100, 250, "2.5 x"),
        (100, 20, "1/5.0"),
        (0, 7, "+7"),
        (7, 0, "-7"),
        (0, 0.25, "+0.250"),
        (None, 7, "-"),
    ],
)
def test_change(before: float | None, after: float | None, shown: str):
    """
    A change reads in percent, as a factor where it is large, and as a difference where there is no ratio.
    """
    assert shown == figures.change(before, after)


def test_junit_of_an_error():
    """
    A run that ended early is an error in JUnit, not a pass.
    """
    assert 'errors="1"' in junit.as_junit([], "the loop cannot be had")
