"""What a load run reports is the truth, at a smoke size; the full size is `python -m tests.perf.load_accuracy`."""

from __future__ import annotations

import pytest

from tests.perf import load_accuracy
from tests.perf.load_accuracy import SMOKE


def test_ttft_is_what_the_service_saw():
    """
    Every turn that the service answered is in the record, and the median is not earlier than the truth, nor far later.
    """
    found = load_accuracy.accuracy(SMOKE)

    assert found.reported.count == len(found.true) > 20
    assert -0.002 < found.off_s(0.5) < 1.0


def test_a_stall_is_seen():
    """
    Half a second of three in which the service stands still is in p90, as the schedule says that it must be.
    """
    found = load_accuracy.omission(SMOKE)

    assert found.reported > 0.8 * found.analytic > 0.1


@pytest.mark.perf
def test_full_size():
    """
    TTFT p50 and p99 are within 2 ms or 2 % of the truth, and p90 over a stall is within 15 % of the analytic value.
    """
    accuracy = load_accuracy.accuracy(load_accuracy.Sizes())
    omission = load_accuracy.omission(load_accuracy.Sizes())

    assert accuracy.near(0.5)
    assert accuracy.near(0.99)
    assert abs(omission.off) <= load_accuracy.P90_OFF
