"""A scenario as the server plays it: any session can play it, with the tools that its client offers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from looprig.scenario import Place, PlannedCall, Round, Scenario, Turn
from looprig.toolbox import TOOLBOX

SCANNED = 1000
"""Turns that are looked at to find out which sessions a scenario has; the rest may be computed as it is played."""

_MARKER = re.compile(r"\[#s\d{1,9}t")


class Offer(NamedTuple):
    """A tool that a request offers: its name, and the JSON schema of its arguments."""

    name: str
    schema: Mapping[str, Any]


class Play:
    """Serves the turns of one scenario by session and turn."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        owned: dict[int, list[int]] = {}
        for number, turn in enumerate(scenario.turns[:SCANNED]):
            owned.setdefault(turn.session, []).append(number)
        self._owned = [owned[session] for session in sorted(owned)]
        self._turn = lru_cache(maxsize=4096)(scenario.turns.__getitem__)

    def marked(self, number: int) -> Turn | None:
        """Return the turn that a marker names, or None where the scenario has none of that number."""
        return self._turn(number) if 0 <= number < len(self.scenario.turns) else None

    def counted(self, session: int, number: int) -> Turn | None:
        """Return turn *number* of a session whose turns the server counts: after the last one the first comes again."""
        if len(self._owned) > 1:
            mine = self._owned[session % len(self._owned)]
            return self._turn(mine[number % len(mine)])
        return self._turn(number % len(self.scenario.turns)) if self._owned else None

    def typed(self, session: int, first: int = 0, count: int = SCANNED) -> Iterator[dict[str, Any]]:
        """Yield what is to be typed in a session, with the markers of that session."""
        if len(self._owned) > 1:
            numbers: Sequence[int] = self._owned[session % len(self._owned)]
        else:
            numbers = range(len(self.scenario.turns))
        for number in numbers[first : first + count]:
            turn = self._turn(number)
            yield {
                "turn": number,
                "say": _MARKER.sub(f"[#s{session}t", turn.say, count=1),
                "system": list(turn.system),
                "model_replies": len(turn.rounds) + 1,
            }


def fitted(plan: Turn, offers: Sequence[Offer]) -> Turn:
    """Return *plan* for a client with tools of its own: where it lacks a planned tool, one that it has is asked for.

    A client that offers no tools is answered at once. Calls of tools that no toolbox has are planned to go wrong, and
    stay as they are.
    """
    if not plan.rounds:
        return plan
    if not offers:
        return msgspec.structs.replace(plan, rounds=())
    names = {offer.name for offer in offers}
    if all(call.name in names or call.name not in TOOLBOX for round_ in plan.rounds for call in round_.calls):
        return plan
    rounds = tuple(_round(round_, number, names, offers) for number, round_ in enumerate(plan.rounds))
    return msgspec.structs.replace(plan, rounds=rounds)


def _round(round_: Round, number: int, names: set[str], offers: Sequence[Offer]) -> Round:
    calls = tuple(
        call
        if call.name in names or call.name not in TOOLBOX
        else _instead(call, offers[(number + place) % len(offers)])
        for place, call in enumerate(round_.calls)
    )
    return msgspec.structs.replace(round_, calls=calls)


def _instead(call: PlannedCall, offer: Offer) -> PlannedCall:
    return msgspec.structs.replace(call, name=offer.name, arguments=json.dumps(_example(offer.schema, "")))


def _example(schema: object, name: str, depth: int = 0) -> Any:
    """Return a value that fits a JSON schema as clients write them: required properties alone, first choices."""
    if not isinstance(schema, Mapping) or depth > 8:
        return name
    if "const" in schema:
        return schema["const"]
    for key in ("enum", "anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), Sequence) and schema[key]:
            return schema[key][0] if key == "enum" else _example(schema[key][0], name, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match str(kind[0] if isinstance(kind, list) and kind else kind).lower():
        case "object":
            properties = schema.get("properties") or {}
            return {key: _example(properties.get(key), key, depth + 1) for key in schema.get("required") or ()}
        case "array":
            return [_example(schema.get("items"), name, depth + 1) for _ in range(int(schema.get("minItems") or 0))]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return name or "text"


def offers(fields: Mapping[str, Any]) -> list[Offer]:
    """Return the tools that a request offers, in whichever provider's spelling; none where it forbids their use."""
    if _forbidden(fields):
        return []
    found = []
    for tool in fields.get("tools") or ():
        for each in tool.get("functionDeclarations") or tool.get("function_declarations") or (tool,):
            function = each.get("function") or each
            schema: Mapping[str, Any] = next(
                (function[key] for key in _SCHEMAS if isinstance(function.get(key), Mapping)), {}
            )
            if isinstance(function.get("name"), str):
                found.append(Offer(function["name"], schema))
    return found


def offers_any(fields: Mapping[str, Any]) -> bool:
    """Return whether a request offers any tool that may be used."""
    return bool(fields.get("tools")) and not _forbidden(fields)


_SCHEMAS = ("parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema")


def _forbidden(fields: Mapping[str, Any]) -> bool:
    choice = fields.get("tool_choice")
    if choice == "none" or (isinstance(choice, Mapping) and choice.get("type") == "none"):
        return True
    config = fields.get("toolConfig")
    calling = config.get("functionCallingConfig") if isinstance(config, Mapping) else None
    return isinstance(calling, Mapping) and calling.get("mode") == "NONE"


def marker_of(session: int, turn: int) -> str:
    """Return the marker that the answer of a turn begins with."""
    return Place(session, turn).marker()
