"""What the clients talk about: fifty turns, every second one with a tool call, as `looprig serve model` plays them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.request import urlopen

from looprig import content
from looprig.scenario import Scenario, Turn, place_of, result_text
from looprig.toolbox import TOOLBOX

NAME = "long_conversation"
SETTINGS = {"messages": "151", "tool_every": "2"}
SEED = 1

TOOLS = tuple(TOOLBOX.values())


def scenario() -> Scenario:
    """Return the scenario."""
    return content.find_scenario(NAME).make(SEED, SETTINGS)


def options() -> list[str]:
    """Return what tells the server to play it."""
    return [
        "--scenario",
        NAME,
        "--seed",
        str(SEED),
        *(word for name, value in SETTINGS.items() for word in ("--set", f"{name}={value}")),
    ]


def said(turn: Turn, session: int) -> str:
    """Return what the user of that session types."""
    return turn.say.replace("[#s0t", f"[#s{session}t")


def run_tool(arguments: Mapping[str, Any]) -> str:
    """Return what a tool gives back: the client runs the tools, and the arguments say which call it is."""
    place = place_of(arguments["ref"])
    assert place is not None
    return result_text(place, scenario().turns[place.turn].rounds[place.round].calls[place.call])


def passed(url: str, session: int) -> bool:
    """Say whether the server has seen the session, and found nothing wrong with it."""
    with urlopen(f"{url}/journal") as answer:  # noqa: S310 - an address that the test made
        seen = json.load(answer)
    mine = next(each for each in seen["by_session"] if each["session"] == session)
    return mine["requests"] > 0 and not mine["refused"] and not mine["broken"]
