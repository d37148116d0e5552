"""The pytest plugin: the fixtures ``rig`` and ``strict_model``, and options to choose seeds.

It is loaded in every pytest run of whoever installs looprig, so it imports nothing of looprig until the
fixture is used, and does nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from looprig.runner import Outcome
    from looprig.scenario import Scenario
    from looprig.server.running import Running


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


class StrictModel:
    """The strict model, served on ``url`` for one test; the variables of the official clients point to it."""

    def __init__(self, running: Running, seed: int) -> None:
        self._running = running
        self._seed = seed
        self.url = running.url

    def play(self, scenario: str | Scenario, **settings: Any) -> list[str]:
        """Play *scenario* from now on, with sessions that are empty; return what session 0 is to type."""
        from looprig.testing import scenario_of

        app = self._running.app
        self._running.ask(lambda: app.begin(scenario_of(scenario, self._seed, settings)))
        return [turn["say"] for turn in app.play.typed(0)]

    def journal(self) -> dict[str, Any]:
        """Return what was seen so far: requests, sessions, findings."""
        return self._running.ask(self._running.app.seen)

    def verdict(self) -> str:
        """Return what was seen in words: findings with their first cases, and the verdict as the last line."""
        from looprig.report.serving import page

        self._running.ask(self._running.app.finish)
        return page(self.journal(), "this test again")

    def check(self) -> None:
        """Fail the test where an invariant is broken, a request was refused, or none came."""
        __tracebackhide__ = True
        text, seen = self.verdict(), self.journal()
        if not seen["passed"] or not seen["requests"]:
            pytest.fail(text, pytrace=False)


@pytest.fixture(scope="session")
def _looprig_server() -> Iterator[Running]:
    """Serve the strict model as long as the tests run, on a free port."""
    from looprig.content import find_scenario
    from looprig.server.app import App
    from looprig.server.running import serving
    from looprig.server.settings import Settings

    with serving(App(Settings(scenario=find_scenario("pending_calls").make(1, {})))) as running:
        yield running


@pytest.fixture
def strict_model(
    request: pytest.FixtureRequest, _looprig_server: Running, monkeypatch: pytest.MonkeyPatch
) -> StrictModel:
    """Serve a model that refuses what providers refuse; ``strict_model.check()`` ends a test with the verdict."""
    import os

    from looprig.server.running import DROPPED, environment

    for name, value in environment(_looprig_server.url, os.environ).items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    for name in DROPPED:
        monkeypatch.delenv(name, raising=False)
    model = StrictModel(_looprig_server, request.config.getoption("--looprig-seed"))
    model.play("pending_calls")
    return model
