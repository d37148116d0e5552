"""The scenarios that sessions play: made once for all sessions that ask for the same, and forgotten after a while."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from looprig.content import ContentError
from looprig.scenario import Place, Scenario, Turn, user_text
from looprig.service.settings import Make

KEPT = 256
"""Scenarios that are kept ready: one may take 60 kB, and some milliseconds to be made."""

SCANNED = 16
"""Turns that are looked at to find out which sessions a scenario has, where it computes them one by one."""

NUMBER_MAX = 1_000_000
"""A number that a client may ask for as a scenario's parameter: the scenario may be made in one go."""

_MARKER = re.compile(r"\[#s\d{1,9}t(\d{1,9})\]", re.ASCII)


class Unknown(LookupError):
    """There is no such scenario here; the text says which there are."""


class BadScenario(ValueError):
    """The scenario cannot be made so; the text says why."""


class Key(NamedTuple):
    """What tells one script from another."""

    scenario: str
    seed: int
    parameters: tuple[tuple[str, str], ...]


class Script:
    """The turns of one scenario, as any session can play them."""

    def __init__(self, scenario: Scenario) -> None:
        self.name = scenario.name
        turns = scenario.turns
        self._turns = turns
        owned: dict[int, list[int]] = {}
        for number in range(len(turns) if isinstance(turns, tuple) else min(SCANNED, len(turns))):
            owned.setdefault(turns[number].session, []).append(number)
        self._owned = [owned[session] for session in sorted(owned)] if len(owned) > 1 else []

    def turn(self, session: int, number: int) -> Turn:
        """Return turn *number* of a session: after the last one the first comes again."""
        if self._owned:
            mine = self._owned[session % len(self._owned)]
            return self._turns[mine[number % len(mine)]]
        return self._turns[number % len(self._turns)]

    def plan(self, session: int, number: int, text: str) -> Turn:
        """Return the plan of a turn in which the user types *text*.

        A marker in the text says which turn of the scenario it is, and becomes one of this session and turn; a text
        without one gets it, unless it stands in the scenario as it is. What is typed otherwise than in the scenario may
        be refused: nobody knows whether it is an ordinary text.
        """
        found = _MARKER.search(text)
        if found is not None and int(found[1]) < len(self._turns):
            turn = self._turns[int(found[1])]
        else:
            turn = self.turn(session, number)
        marker = Place(session, number).marker()
        typed = _MARKER.sub(marker, text)
        as_planned = typed == _MARKER.sub(marker, turn.say)
        if found is None and not as_planned:
            typed = user_text(session, number, text)
        return msgspec.structs.replace(
            turn,
            say=typed,
            session=session,
            pause_s=0.0,
            cancel_after_s=None,
            may_be_refused=turn.may_be_refused or not as_planned,
        )


def marked(text: str, session: int, number: int) -> str:
    """Return *text* with its markers turned into those of a turn, or with that marker in front."""
    found, times = _MARKER.subn(Place(session, number).marker(), text)
    return found if times else user_text(session, number, text)


def unmarked(text: str) -> str:
    """Return *text* without its markers."""
    return _MARKER.sub("", text).strip()


def _size(text: str) -> float:
    """Return how large a number is, and 0 for what is none."""
    try:
        return abs(float(text))
    except ValueError:
        return 0.0


class Scripts:
    """Makes scripts, and keeps those that were asked for last."""

    def __init__(self, make: Make, default: Key) -> None:
        self._make = make
        self.default = default
        self._kept: OrderedDict[Key, Script] = OrderedDict()

    def key(self, scenario: str | None, seed: int | None, parameters: Mapping[str, str] | None) -> Key:
        """Return the key of what a client asks for; what it leaves out is as the service was started with.

        Raises:
            Unknown: where the scenario's name is no name: a client shall not name a file to be run.
            BadScenario: where a parameter is too large.
        """
        name = self.default.scenario if scenario is None else scenario
        if name != self.default.scenario and not name.isidentifier():
            raise Unknown(f"this service has no scenario {name!r:.80}; a client may ask for one by its name")
        for parameter, text in (parameters or {}).items():
            if _size(text) > NUMBER_MAX:
                raise BadScenario(f"{parameter}={text[:30]} is too much for a service; at most {NUMBER_MAX:,} is taken")
        asked = dict(parameters) if parameters is not None else {}
        if name == self.default.scenario:
            asked = {**dict(self.default.parameters), **asked}
        return Key(name, self.default.seed if seed is None else seed, tuple(sorted(asked.items())))

    def get(self, key: Key) -> Script:
        """Return the script of a key.

        Raises:
            Unknown: where there is no such scenario.
            BadScenario: where it cannot be made so.
        """
        script = self._kept.get(key)
        if script is None:
            script = self._kept[key] = self._made(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return script

    def _made(self, key: Key) -> Script:
        try:
            scenario = self._make(key.scenario, key.seed, dict(key.parameters))
        except ContentError as error:
            unknown = "there is no scenario" in str(error)
            raise (Unknown if unknown else BadScenario)(str(error)) from error
        if not len(scenario.turns):
            raise BadScenario(f"the scenario {key.scenario} has no turns with these parameters")
        return Script(scenario)
