"""The page says what was found, so that a reader can check it."""

from __future__ import annotations

from looprig.conformance.data import Cell, Results
from looprig.report.conformance import page, replay
from tests.conformance.made import agent, results, trimmer


def row(text: str, start: str) -> list[str]:
    """Return the cells of the one table row that begins with *start*."""
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def section(text: str, title: str) -> str:
    return text.split(f"# {title}\n", 1)[1].split("\n#", 1)[0]


def test_versions():
    """
    Each package that was tested stands there with its version.
    """
    assert ["langchain", "1.5.2"] == row(section(page(results()), "Versions"), "langchain  ")


def test_trimmer_table():
    """
    A row has a cell for each rule, the worst size and what is left of a chain.
    """
    cells = row(section(page(results()), "Rules broken, in percent"), "langchain-core 1.8.3 trim\\_messages")

    assert ["tokens", "ok", "n/a", "n/a", "n/a", "n/a", "33"] == cells[1:8]
    assert ["1.25", "1 @ 205", "2,280"] == cells[-3:]


def test_every_number_has_its_case():
    """
    Of each broken rule there is the smallest case, with the command that plays it again.
    """
    text = page(results())
    cases = text.split("## The smallest case of each broken rule")[1]

    assert ["C06", "LR104", "33", "2", "U C1 T", "C1 T", "it starts with a call"] == row(cases, "C06")
    assert replay(trimmer()) in cases
    assert "C16: no case of at most 6 messages" in cases


def test_replay_is_a_command():
    """
    A name with blanks and brackets survives the shell.
    """
    assert (
        "looprig conformance langchain -- trim looprig.trimmers.frameworks.langchain:SUBJECTS "
        "--only 'trim_messages (recommended)' --limit 2 --history 'U C1 T'"
    ) == replay(trimmer(), "2", "U C1 T")


def test_agreement_with_the_study():
    """
    Cells that differ are listed one by one, so that none is passed over.
    """
    cells = {"LR104": Cell(applied=200, broken=66), "LR121": Cell(applied=9, broken=9)}
    text = page(results(trimmers=[trimmer(cells=cells)]))

    differing = [line for line in section(text, "Cells that differ").splitlines() if "recommended" in line]
    assert 11 == len(differing)  # what the study found broken and these cells do not have, and the two above
    assert "C02" in differing[1]


def test_cost():
    """
    A quadratic call is called steep.
    """
    cells = row(section(page(results()), "Growth, steepest first"), "langchain-core")

    assert ["pure", "2.00", "steep", "3,775", "377,460", "-", "36,539", ""] == cells[1:]


def test_whole_runs():
    """
    A share below one percent is not rounded to nothing.
    """
    cells = row(section(page(results()), "Requests refused, in percent"), "langchain-core")

    assert "25/50/&lt;1" == cells[1]


def test_agents():
    """
    An agent's row counts violations by code, its costs are exact, and its parallel tools are judged.
    """
    text = page(results())

    assert ["langchain", "LR113 3"] == row(section(text, "Violations by scenario"), "langchain")
    assert ["langchain", "36", "1,368", "-", "-", "-", "20"] == row(
        section(text, "What long\\_tool\\_chain costs"), "langchain"
    )
    assert ["no: 5 of 105 conflicting pairs ran at once", "2.29", "1.66", "yes", "the turn fails"] == row(
        section(text, "Calls of one round"), "langchain"
    )[1:]
    assert "looprig conformance langchain -- run x" in section(text, "The smallest scenario that shows it")


def test_what_failed_is_said():
    """
    A trimmer or an agent that could not be tested has a row that says why, and a part that ended early its line.
    """
    broken = results(trimmers=[trimmer(failed="ImportError: no", cells={}, runs=0)], agents=[agent(failed="no extra")])
    text = page(broken)

    assert "failed: ImportError: no" in text
    assert "failed: no extra" in text
    assert "agno trimmers: stopped after 900 s" in section(text, "What ended early")


def test_changes():
    """
    The first run has nothing to compare with; the next says what is new since which day.
    """
    first = page(results())
    second = page(results(agents=[agent({})]), results(date="2026-11-01"))

    assert "There are no earlier results" in section(first, "What changed")
    assert ["langchain agent", "long\\_tool\\_chain", "LR113 3", "ok"] == row(
        section(second, "Since 2026-11-01"), "langchain agent"
    )
    assert "Nothing since 2026-11-25." in section(page(results(), results()), "What changed")


def test_nothing_was_tested():
    """
    A page of nothing is a short page and no error.
    """
    empty = Results(date="2026-11-25", looprig="0.1.0")

    assert "0 trimmers of 0 frameworks" in page(empty)
