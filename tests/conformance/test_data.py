"""Results are read back as they were written, and what changed between two runs is told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from looprig.conformance.changes import Change, cell_text, changes
from looprig.conformance.data import Cell, DataError, Trouble, read, written
from looprig.conformance.jobs import Job, UnknownFramework, jobs, known
from looprig.conformance.run import INTERRUPTED, collected, updated
from tests.conformance.made import agent, results, trimmer


def test_results_are_read_back(tmp_path: Path):
    """
    What is written is what is read, to the last digit.
    """
    (tmp_path / "results.json").write_text(written(results()))

    assert results() == read(tmp_path / "results.json")


def test_no_results_yet(tmp_path: Path):
    """
    The first run has nothing to compare with, and that is no error.
    """
    assert None is read(tmp_path / "none.json")


@pytest.mark.parametrize("text", ["", "[]", '{"date": 3}'])
def test_other_files_are_refused(tmp_path: Path, text: str):
    """
    A file that holds something else is named, with what to do.
    """
    (tmp_path / "other.json").write_text(text)

    with pytest.raises(DataError, match=r"other.json does not hold the results of a conformance run.*move it away"):
        read(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("shown", "applied", "broken"),
    [("n/a", 0, 0), ("ok", 9, 0), ("<1", 1000, 2), ("1", 100, 1), ("33", 200, 66), ("100", 7, 7)],
)
def test_cells_as_people_read_them(shown: str, applied: int, broken: int):
    """
    A percentage never rounds a breach away, and a rule that did not apply has shown nothing.
    """
    assert shown == cell_text(Cell(applied=applied, broken=broken))


def test_nothing_changed():
    """
    Two equal runs have no difference.
    """
    assert [] == changes(results(), results())


def test_changed_version_cell_and_agent():
    """
    A new version that mends one rule and breaks another is told in full.
    """
    cells = {"LR104": Cell(applied=200, broken=0), "LR101": Cell(applied=50, broken=5)}
    after = results(trimmers=[trimmer(packages={"langchain-core": "1.9.0"}, cells=cells)], agents=[agent({"LR152": 1})])
    key = "langchain trim_messages (recommended)"

    assert [
        Change("langchain-core", "version", "1.8.3", "1.9.0"),
        Change(key, "LR101", "ok", "10"),
        Change(key, "LR104", "33", "ok"),
        Change(key, "LR113", "<1", "n/a"),
        Change("langchain agent", "long_tool_chain", "LR113 3", "LR152 1"),
    ] == changes(results(), after)


def test_a_share_that_moves_a_little_is_no_change():
    """
    Half a percent point is other histories, and no other trimmer.
    """
    before = results(trimmers=[trimmer(cells={"LR104": Cell(applied=1000, broken=330)})])
    after = results(trimmers=[trimmer(cells={"LR104": Cell(applied=1000, broken=334)})])

    assert [] == changes(before, after)


def test_new_and_gone_trimmers():
    """
    A trimmer that is new, or no longer there, is one line and not twenty.
    """
    after = results(trimmers=[trimmer("another one")])

    assert [
        Change("langchain trim_messages (recommended)", "trimmer", "tested", "not tested"),
        Change("langchain another one", "trimmer", "not tested", "tested"),
    ] == changes(results(), after)


def test_some_frameworks_alone_keep_the_others():
    """
    Whoever runs one framework again loses nothing of the rest, and the order stays.
    """
    haystack = trimmer("SlidingWindowCompactor", framework="haystack", date="2026-11-01")
    before = results(trimmers=[trimmer(), haystack])
    after = results(trimmers=[trimmer("new")], agents=[], troubles=[])

    merged = updated(before, after, ["langchain"])

    assert ["new", "SlidingWindowCompactor"] == [each.name for each in merged.trimmers]
    assert [] == list(merged.agents)
    assert after == updated(before, after, [])


def test_interrupted_frameworks_keep_what_they_had():
    """
    Whoever stops a run loses neither what was finished nor what the run before had found of the rest.
    """
    haystack = trimmer("SlidingWindowCompactor", framework="haystack")
    before = results(trimmers=[trimmer("old"), haystack], agents=[], troubles=[])
    stopped = Trouble(framework="haystack", part="trimmers", because=INTERRUPTED)
    after = results(trimmers=[trimmer("new")], agents=[], troubles=[stopped])

    merged = updated(before, after, [])

    assert ["new", "SlidingWindowCompactor"] == [each.name for each in merged.trimmers]
    assert [stopped] == list(merged.troubles)


def test_collected_results_say_where_they_are_from():
    """
    The old version of a framework, from the other environment, is not mistaken for the new one.
    """
    new, old = Job("newest", "strands", "trimmers"), Job("camel", "strands", "trimmers")
    bare = msgspec.structs.replace(trimmer("window"), framework="strands")

    merged = collected({old: ([bare], [], None), new: ([bare], [], None)}, [new, old])

    assert ["strands window", "strands window (camel)"] == [each.key for each in merged.trimmers]
    assert {merged.date} == {each.date for each in merged.trimmers}


def test_jobs_of_a_framework():
    """
    A framework with trimmers and an agent is two processes.
    """
    assert [Job("newest", "langchain", "trimmers"), Job("newest", "langchain", "agent")] == jobs(["langchain"])


def test_all_jobs():
    """
    At least a dozen frameworks have trimmers, and half a dozen an agent.
    """
    every = jobs()

    assert len({job.framework for job in every if job.part == "trimmers"}) > 12
    assert len({job.framework for job in every if job.part == "agent"}) >= 6


def test_unknown_framework():
    """
    A slip of the pen is answered with the name that was meant.
    """
    with pytest.raises(UnknownFramework, match="there is no framework 'langchian'; did you mean langchain"):
        known("langchian")
