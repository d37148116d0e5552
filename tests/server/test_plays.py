"""A scenario for any session, and for clients with tools of their own."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.content import find_scenario
from looprig.scenario import PlannedCall, Round, Turn
from looprig.server.plays import Offer, Play, fitted, offers
from tests.server.clients import chat, read, results, said, served, talk, user

PLAN = Turn(say="hi", answer="yes", rounds=(Round(calls=(read(), read())), Round(calls=(PlannedCall(name="no_such"),))))


def test_tools_of_the_scenario():
    """
    A client that offers the scenario's tools, among others, is asked for just these.
    """
    assert PLAN is fitted(PLAN, [Offer("weather", {}), Offer("read_file", {})])


def test_tools_of_the_clients_own():
    """
    Where the client lacks a planned tool, one that it has is asked for; a call that is planned to go wrong stays.
    """
    plan = fitted(PLAN, [Offer("weather", {"properties": {"city": {"type": "string"}}, "required": ["city"]})])

    assert ["weather", "weather", "no_such"] == [call.name for round_ in plan.rounds for call in round_.calls]
    assert '{"city": "city"}' == plan.rounds[0].calls[0].arguments


def test_no_tools():
    """
    Who offers no tools, or forbids their use, is answered at once; also in the middle of a turn.
    """
    app = served(talk(2, {0: 3, 1: 3}))
    history = [user("[#s0t0] hi")]
    asks = said(chat(app, history))
    middle = said(chat(app, [*history, asks, *results(asks)], tools=False))
    forbidden = said(chat(app, [*history, asks, *results(asks), middle, user("[#s0t1] hi")], tool_choice="none"))

    assert "[#s0t0] answer 0" == middle["content"]
    assert "[#s0t1] answer 1" == forbidden["content"]
    app.finish()
    assert {} == app.seen()["broken"]


_LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "integer", "minimum": 3},
        {"type": "number"},
        {"type": "boolean"},
        {"type": "null"},
        {"enum": ["x", "y"]},
        {"const": 7},
        {"type": ["string", "null"]},
        {},
    ]
)


def _objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    return properties.map(lambda made: {"type": "object", "properties": made, "required": sorted(made)[:2]})


SCHEMAS = _objects(
    st.recursive(
        _LEAVES,
        lambda inner: (
            _objects(inner)
            | inner.map(lambda items: {"type": "array", "items": items, "minItems": 1})
            | inner.map(lambda one: {"anyOf": [one, {"type": "string"}]})
        ),
        max_leaves=6,
    )
)


@given(SCHEMAS)
def test_arguments_fit_their_schema(schema: dict[str, Any]):
    """
    The arguments of a call are valid by the schema that the client offers.
    """
    plan = fitted(PLAN, [Offer("own", schema)])

    jsonschema.validate(json.loads(plan.rounds[0].calls[0].arguments or ""), schema)


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]},
        {"tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]},
        {"tools": [{"name": "f", "input_schema": {"type": "object"}}]},
        {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}]},
    ],
)
def test_spellings_of_tools(fields: dict[str, Any]):
    """
    The tools are found in each provider's spelling.
    """
    assert [Offer("f", {"type": "object"})] == offers(fields)


def test_several_sessions_of_a_scenario():
    """
    Of a scenario with several conversations, each session plays one, in turn; markers name the session that plays it.
    """
    play = Play(find_scenario("working_day").make(1, {}))
    owners = sorted({turn.session for turn in play.scenario.turns})

    for session in (0, 1, len(owners), len(owners) + 1):
        own = [n for n, turn in enumerate(play.scenario.turns) if turn.session == owners[session % len(owners)]]
        typed = list(play.typed(session))
        assert own == [turn["turn"] for turn in typed]
        assert all(f"[#s{session}t" in turn["say"] for turn in typed)
    assert len(owners) > 1
