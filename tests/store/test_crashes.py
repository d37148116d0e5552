"""The store survives what it can, and says what it cannot: smoke sizes of `make crashes`."""

from __future__ import annotations

import shutil
import sys

import pytest

from tests.perf.crashes import crash_at_file_operations, crash_everywhere, cut_the_power, kill_at_random
from tests.perf.damage import FINE, damage_files

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="forks, kills and looks at file operations as Linux does"
)

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler to count file operations with")


def test_killed_at_random():
    """
    Processes killed while they write: no acknowledged run is lost, none is half there, the file opens.
    """
    killed, runs, problems = kill_at_random(12, seed=2)

    assert not problems
    assert killed == 12
    assert runs > 0


def test_crash_at_every_statement():
    """
    Ended before and after everything that the store asks of SQLite, the store is whole and goes on.
    """
    points, problems = crash_everywhere(step=2)

    assert not problems
    assert points > 10


@needs_compiler
def test_killed_at_file_operations():
    """
    Killed before a write or sync, and in the middle of a write, the store is whole and goes on.
    """
    points, problems = crash_at_file_operations(step=23)

    assert not problems
    assert points > 4


@needs_compiler
def test_power_cut():
    """
    Whatever part of what was not synced is there after a power cut, no acknowledged run is lost.
    """
    cuts, problems = cut_the_power(1, seed=2)

    assert not problems
    assert cuts > 50


@needs_compiler
def test_power_cut_without_syncs():
    """
    A store that does not sync is found out, so the test above can fail.
    """
    assert cut_the_power(1, seed=2, synced=False)[1]


def test_damaged_files():
    """
    A damaged file is read as it was, or refused in one line and salvaged; never a traceback, never a wrong run.
    """
    outcomes = damage_files(30, seed=2)

    assert set(FINE) >= {outcome for found in outcomes.values() for outcome in found}
    assert {"refused, some runs salvaged", "refused, all runs salvaged"} & {
        outcome for found in outcomes.values() for outcome in found
    }
