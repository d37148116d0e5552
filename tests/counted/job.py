"""Jobs for tests: loops by their text form, in the tests' own interpreter."""

from __future__ import annotations

from pathlib import Path

from looprig import content
from looprig.home import Job, Party, here
from looprig.progress import Tell
from looprig.workload import pack

SILENT = Tell(lambda number, name: None, lambda turn, turns: None)

PLANTED = Path(__file__).parents[1] / "growth" / "planted.py"
BROKEN = Path(__file__).with_name("broken.py")


def planted(factory: str = "make", **options: object) -> str:
    """Return the text form of a planted loop."""
    return ",".join([f"{PLANTED}:{factory}", *(f"{name}={value}" for name, value in options.items())])


def job(before: str, after: str, messages: int = 120, seed: int = 1, **parameters: object) -> Job:
    """Return a job over a long conversation."""
    given = {"messages": str(messages), **{name: str(value) for name, value in parameters.items()}}
    made = content.find_scenario("long_conversation").make(seed, given)
    return Job(made.name, pack(made), Party(here(), before), Party(here(), after))
