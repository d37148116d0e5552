"""The standard scenarios, as the tests of this folder ask for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from looprig.content import ScenarioFile, standard
from looprig.scenario import Scenario


@pytest.fixture
def make() -> Callable[..., Scenario]:
    """Make a standard scenario: ``make("working_day", seed=3, sessions=500)``."""

    def make(name: str, seed: int = 1, **settings: object) -> Scenario:
        path = standard("scenarios") / f"{name}.py"
        return ScenarioFile(name, path).make(seed, {key: str(value) for key, value in settings.items()})

    return make
