"""The same scenario, seed and loop give the same digest anywhere; and what is not deterministic is found by it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from looprig.content import find_scenarios, standard
from looprig.runner import run
from looprig.scenario import Scenario, Turn, user_text
from reference_loop import make_loop

ROOT = Path(__file__).parents[1]
STANDARD = sorted(path.stem for path in standard("scenarios").glob("[!_]*.py"))
SMALL = {"turns": "12", "repeats": "1", "messages": "300"}
SEED = 11


def scenario(name: str) -> Scenario:
    file = find_scenarios()[name]
    return file.make(SEED, {key: value for key, value in SMALL.items() if key in file.parameters})


PRINT_DIGESTS = f"""
import json, sys
sys.path.insert(0, {str(ROOT)!r})
from looprig.content import find_scenarios, standard
from looprig.runner import run
from reference_loop import make_loop
digests = {{}}
for name in sys.argv[1:]:
    file = find_scenarios([standard("scenarios")])[name]
    made = file.make({SEED}, {{key: value for key, value in {SMALL!r}.items() if key in file.parameters}})
    digests[name] = run(made, make_loop).digest
print(json.dumps(digests))
"""

PLACES = {
    "hash seed 0": {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
    "hash seed 1, Kathmandu": {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"},
    "hash seed 4711, Honolulu": {"PYTHONHASHSEED": "4711", "TZ": "Pacific/Honolulu", "PYTHONUTF8": "1"},
}


@pytest.fixture(scope="module")
def digests() -> dict[str, str]:
    """The digest of every standard scenario in this process."""
    return {name: run(scenario(name), make_loop).digest for name in STANDARD}


@pytest.mark.parametrize("name", STANDARD)
def test_twice(name: str, digests: dict[str, str]):
    """
    A second run in the same process gives the same digest, and another scenario another one.
    """
    assert digests[name] == run(scenario(name), make_loop).digest
    assert len(STANDARD) == len(set(digests.values()))


def test_elsewhere(digests: dict[str, str], tmp_path: Path):
    """
    Another process, hash seed, time zone, locale and working directory give the same digests.
    """
    started = {
        place: subprocess.Popen(
            [sys.executable, "-c", PRINT_DIGESTS, *STANDARD],
            env=os.environ | variables,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for (place, variables), folder in zip(PLACES.items(), (tmp_path, ROOT, Path("/")), strict=True)
    }
    printed_in = {place: process.communicate(timeout=120) for place, process in started.items()}
    for place, (printed, errors) in printed_in.items():
        assert 0 == started[place].returncode, errors
        assert digests == json.loads(printed), place


class Loop:
    """A loop with a note of its own in each request."""

    def __init__(self, model: Any, note: Callable[[], str]) -> None:
        self.model, self.note = model, note

    def send(self, text: str) -> Any:
        return self.model.complete([{"role": "system", "content": self.note()}, {"role": "user", "content": text}])


TALK = Scenario(
    name="talk", seed=1, turns=tuple(Turn(say=user_text(0, number, "hi"), answer="there") for number in range(3))
)


def digest(note: Callable[[], str]) -> str:
    return run(TALK, lambda model, tools: Loop(model, note)).digest


def test_planted_random_id():
    """
    A random id in what a loop sends changes the digest; a constant one does not.
    """
    assert digest(lambda: "run 1") == digest(lambda: "run 1")
    assert digest(lambda: f"run {uuid.uuid4()}") != digest(lambda: f"run {uuid.uuid4()}")


PRINT_SET = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from looprig.runner import run
from looprig.scenario import Scenario, Turn
class Loop:
    def __init__(self, model, tools): self.model, self.tools = model, tools
    def send(self, text):
        names = sys.argv[1] == "set" and set(self.tools) or sorted(self.tools)
        note = {{"role": "system", "content": " ".join(names)}}
        return self.model.complete([note, {{"role": "user", "content": text}}])
turns = (Turn(say="[#s0t0] hi", answer="x"),)
print(run(Scenario(name="s", seed=1, turns=turns), Loop).digest)
"""


def test_planted_set_iteration():
    """
    The iteration of a set, whose order is another one in each process, changes the digest; sorted, it does not.
    """

    def found(kind: str) -> set[str]:
        started = [
            subprocess.Popen(
                [sys.executable, "-c", PRINT_SET, kind],
                env=os.environ | {"PYTHONHASHSEED": str(seed)},
                stdout=subprocess.PIPE,
                text=True,
            )
            for seed in (1, 2, 3)
        ]
        return {process.communicate(timeout=60)[0] for process in started}

    assert len(found("set")) > 1
    assert 1 == len(found("sorted"))
