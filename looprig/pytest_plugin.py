"""The pytest plugin: the fixture ``rig``, and options to choose seeds.

It is loaded in every pytest run of whoever installs looprig, so it imports nothing of looprig until the
fixture is used, and does nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from looprig.runner import Outcome
    from looprig.scenario import Scenario


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--looprig-seed`` and ``--looprig-seeds``."""
    group = parser.getgroup("looprig", "chat loop checks")
    group.addoption("--looprig-seed", type=int, default=1, metavar="N", help="seed of the scenarios (default: 1)")
    group.addoption("--looprig-seeds", type=int, default=1, metavar="N", help="try so many seeds (default: 1)")


class Rig:
    """Checks, plays and times loops with the seeds of the command line; see `looprig.testing`."""

    def __init__(self, seed: int, seeds: int) -> None:
        self._seed = seed
        self._seeds = seeds

    def check(self, factory: Callable[..., Any], *scenarios: str | Scenario, **settings: Any) -> list[Outcome]:
        """Fail the test with the rendered violation where the loop breaks an invariant."""
        __tracebackhide__ = True
        from looprig.testing import LoopBroken, check_loop

        settings = {"seed": self._seed, "seeds": self._seeds, **settings}
        try:
            return check_loop(factory, *scenarios, **settings)
        except LoopBroken as broken:
            text = str(broken)
        pytest.fail(text, pytrace=False)

    def play(self, factory: Callable[..., Any], scenario: str | Scenario, **settings: Any) -> Outcome:
        """Return the outcome of one scenario, whatever it shows."""
        from looprig.testing import play

        return play(factory, scenario, **{"seed": self._seed, **settings})

    def timed(self, factory: Callable[..., Any], scenario: str | Scenario, **settings: Any) -> Callable[[], None]:
        """Return what to hand to pytest-benchmark; skip the test where timing would mean nothing."""
        from looprig.testing import timed

        disturbed = disturbance()
        if disturbed is not None:
            pytest.skip(f"looprig does not time under {disturbed}")
        return timed(factory, scenario, **{"seed": self._seed, **settings})


def disturbance() -> str | None:
    """Return what in this process makes timings meaningless, or None."""
    import os

    if os.environ.get("PYTEST_XDIST_WORKER"):
        return "pytest-xdist, whose workers compete for the cores"
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("socket"):
        return "gevent, which has patched this process"
    if sys.gettrace() is not None:
        return "a debugger or a coverage tracer"
    return None


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Rig:
    """Check, play and time chat loops: ``rig.check(make_loop)``."""
    return Rig(request.config.getoption("--looprig-seed"), request.config.getoption("--looprig-seeds"))
