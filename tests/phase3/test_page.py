"""The page of the seed report: its layout, its exact figures in two runs, and the command that writes it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from looprig.exits import Exit
from looprig.phase3.bench import QUICK, Bench
from looprig.phase3.objectives import TABLES
from looprig.phase3.study import CLAIMS, Study, study
from looprig.report import phase3

FIGURE = r"~?\d[\d,.]*( (us|ns|ms|s)\b)?"

BLOCK = """\
🚀 PHASE 3 PERFORMANCE BENCHMARK
==================================================
📊 Testing memory management with # messages...
⏱️ Memory management time: # (# per message)
💾 Final conversation length: # messages
📈 Memory utilization: #

📊 Testing performance monitoring...
⏱️ Performance monitoring time: # (# per operation)

🎉 Phase 3 Performance Benchmark Complete!
✅ Memory management: # (# per message) for # messages
✅ Performance monitoring: # (# per operation) for # operations"""

HEADINGS = [
    "# The seed report, measured",
    "## The benchmark",
    "## Before vs After: Performance Comparison",
    "### Memory Management",
    "### Performance Monitoring",
    "### Tool Execution",
    "## Phase 3 Success Criteria",
    "### Primary Objectives",
    "### Secondary Objectives",
    "## Current Progress Summary",
    "### phases",
    "## Claims",
    "### verdicts",
]

IN_ANOTHER_PROCESS = """\
import logging
from looprig.phase3.bench import QUICK, Bench
from looprig.phase3.study import study
from looprig.report import phase3
logging.getLogger().addHandler(logging.NullHandler())
print(phase3.page(study(Bench(QUICK)), {"cores": 2}), end="")
"""


@pytest.fixture(scope="module")
def measured() -> Study:
    return study(Bench(QUICK))


@pytest.fixture(scope="module")
def page(measured: Study) -> str:
    return phase3.page(measured, {"cores": 2})


def exact(page: str) -> str:
    """Return the page with its noisy cells, and the column widths that follow from them, made equal."""
    page = re.sub(r"~[^|)\n]*", "~", page)
    return re.sub(r"-+", "-", re.sub(r" +", " ", page))


def rows_below(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below a heading."""
    lines = page.split(f"\n{heading}\n")[1].split("\n#")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]


def test_layout(page: str):
    """
    The page holds its parts in their order, then a section for each claim.
    """
    headings = re.findall(r"^#+ .*$", page, re.MULTILINE)

    assert HEADINGS == headings[: len(HEADINGS)]
    assert list(CLAIMS) == [
        re.findall(r"### (\w+): ~?(?:confirmed|refuted|not measurable)$", h)[0] for h in headings[13:]
    ]


@pytest.mark.parametrize("who", ["seed", "ours"])
def test_benchmark_has_the_form_of_the_seed(measured: Study, who: str):
    """
    The benchmark block stands in the seed's own form, with times in us and ns and never as zero.
    """
    block = phase3.benchmark(measured.judged, who)  # type: ignore[arg-type]

    assert re.sub(FIGURE, "#", block).replace("PHASE #", "PHASE 3").replace("Phase #", "Phase 3") == BLOCK
    assert "0.000" not in block
    assert not re.search(r"[ ~]0 (us|ns)", block)


def test_seed_figures(measured: Study):
    """
    The seed's block prints the two exact figures that the report prints.
    """
    block = phase3.benchmark(measured.judged, "seed")

    assert "Final conversation length: 340 messages\n" in block
    assert "Memory utilization: 1.66\n" in block


@pytest.mark.parametrize("title", TABLES)
def test_before_after(page: str, title: str):
    """
    The before/after tables have the seed's four rows in its order, and a measured figure in every cell.
    """
    rows = rows_below(page, f"### {title}")

    assert ["Aspect", "Measured", "Before Phase 3", "After Phase 3", "Ours"] == rows[0][:5]
    assert [row.aspect for row in TABLES[title]] == [row[0] for row in rows[2:] if row[0]]
    for row in rows[2:]:
        assert all(re.search(r"\d", cell) for cell in row[2:5]), row


def test_two_runs_have_the_same_exact_figures(page: str):
    """
    What is not marked as noisy is the same in another process with other hashes.
    """
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        check=True,
    )

    assert exact(page) == exact(done.stdout)
    assert len(re.findall(r"\d", exact(page))) > 0.8 * len(re.findall(r"\d", page))


def test_each_claim_has_words_rule_and_command(page: str):
    """
    Under each claim stand its words, and the command that prints its measurement.
    """
    for name in CLAIMS:
        section = page.split(f"\n### {name}: ")[1].split("\n### ")[0]
        assert "\n> " in section
        assert f"`looprig report --phase3 --claim {name}`" in section
        assert "\nHolds where " in section or "\nNot measurable: " in section


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "looprig", "report", *words], cwd=cwd, capture_output=True, text=True, timeout=120
    )


def test_one_claim(tmp_path: Path):
    """
    One claim is printed in detail on standard output, whether its id is in capitals or not; nothing is written.
    """
    done = command("--phase3", "--claim", "d2", cwd=tmp_path)

    assert Exit.PASSED == done.returncode, done.stderr
    assert re.search(r"final conversation length +340 +252", done.stdout)
    assert re.search(r"^100 +340 +1.66$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("VERDICT confirmed\n")
    assert [] == list(tmp_path.iterdir())


def test_claim_into_a_file(tmp_path: Path):
    """
    A claim can be written to a file too, whose folder is made.
    """
    done = command("--phase3", "--claim", "D9", "--output", "new/d9.txt", cwd=tmp_path)

    assert Exit.PASSED == done.returncode, done.stderr
    assert "" == done.stdout
    assert ["d9.txt"] == [path.name for path in (tmp_path / "new").iterdir()]
    assert "VERDICT refuted" in (tmp_path / "new" / "d9.txt").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--phase3", "--claim", "A11"], "no claim 'A11'; did you mean A1"),
        (["--phase3", "--claim", "zzz"], "no claim 'zzz'; there are A1, A2"),
        ([], "say which report: looprig report --phase3"),
        (["--phase3", "--claim", "D9", "--output", "."], "cannot write .: it is a folder; choose another file"),
        (["--phase3", "--output", "file/x.md"], "cannot write file/x.md"),
    ],
)
def test_usage(tmp_path: Path, words: list[str], said: str):
    """
    What cannot be done is said in one line with what to do, before anything is measured.
    """
    (tmp_path / "file").write_text("in the way")
    done = command(*words, cwd=tmp_path)

    assert Exit.USAGE == done.returncode
    assert said in done.stderr
    assert "" == done.stdout
