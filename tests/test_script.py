"""The scripted model and tools: always in step, whatever a loop or a framework does to what they are handed."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from random import Random
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.clock import VirtualClock
from looprig.content import find_scenarios, standard
from looprig.loop import Chunk, ModelError
from looprig.messages import Message, ToolCall
from looprig.scenario import Fault, Place, PlannedCall, Round, Scenario, Turn, user_text
from looprig.script import (
    HUGE_CHARS,
    NOTHING_TO_ANSWER,
    ScriptedModel,
    ScriptedTools,
    Session,
    ToolFailed,
    TurnStopped,
    locate,
    probe,
    reply_at,
    requests_allowed,
)
from looprig.trace import Approval, Event, Misuse, Reply, Request, ToolEnded, ToolStarted

STANDARD = sorted(path.stem for path in standard("scenarios").glob("[!_]*.py"))

SMALL = {"turns": "8", "repeats": "1", "messages": "40", "conversations": "1"}


class Rig:
    """A session of a scenario, with its model, its tools and the events they emit."""

    def __init__(self, scenario: Scenario, session: int = 0) -> None:
        self.scenario = scenario
        self.clock = VirtualClock()
        self.events: list[Event] = []
        self.session = Session(session, scenario, self.clock, self.events.append)
        self.model, self.tools = ScriptedModel(self.session), ScriptedTools(self.session)

    def begin(self, turn: int = 0) -> Message:
        plan = self.scenario.turns[turn]
        self.session.begin(turn, plan)
        return Message(role="user", content=plan.say)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if type(event) is kind]


def rig_of(*turns: Turn) -> Rig:
    return Rig(Scenario(name="s", seed=1, turns=turns))


def turn_of(*calls: PlannedCall, number: int = 0, **fields: Any) -> Turn:
    rounds = tuple(Round(calls=(call,)) for call in calls)
    return Turn(say=user_text(0, number, "hi"), answer="there you are", rounds=rounds, **fields)


def result_of(call: ToolCall, text: str) -> Message:
    return Message(role="tool", content=text, tool_call_id=call.id)


def small(name: str) -> Scenario:
    file = find_scenarios()[name]
    return file.make(5, {key: value for key, value in SMALL.items() if key in file.parameters})


def walk(scenario: Scenario) -> Iterator[tuple[int, list[Message], Message]]:
    """Yield each request that a faithful loop would make, with its turn and the reply that the script plans."""
    for number, plan in enumerate(scenario.turns):
        history = [Message(role="user", content=plan.say)]
        for depth in range(len(plan.rounds) + 1):
            place = Place(plan.session, number, depth - 1, 0 if depth else -1)
            round_, reply = reply_at(plan, place)
            assert depth == round_
            yield number, list(history), reply
            history.append(reply)
            for index, call in enumerate(reply.tool_calls):
                text = f"{Place(plan.session, number, depth, index).marker()} {plan.rounds[depth].calls[index].result}"
                history.append(result_of(call, text))


@pytest.mark.parametrize("name", STANDARD)
def test_every_place(name: str):
    """
    Every request of every standard scenario is found in the script, and gets its own reply.
    """
    scenario = small(name)
    for number, messages, reply in walk(scenario):
        plan = scenario.turns[number]
        place = locate(messages, plan.session, number, plan)

        assert place is not None
        assert (plan.session, number) == place[:2]
        assert reply == reply_at(plan, place)[1]


@pytest.mark.parametrize("name", STANDARD)
def test_shuffled(name: str):
    """
    The model remembers nothing: the requests of a whole run in any order get the same replies.
    """
    scenario = small(name)
    requests = [(number, messages, reply) for number, messages, reply in walk(scenario) if _marked(messages)]
    Random(1).shuffle(requests)
    rig = Rig(msgspec.structs.replace(scenario, turns=[_calm(turn) for turn in scenario.turns]))
    for number, messages, reply in requests:
        assert reply == rig.model.complete(messages), f"turn {number}"


def _marked(messages: Sequence[Message]) -> bool:
    return messages[-1].role != "user" or "[#s" in messages[-1].content  # odd texts have no place of their own


def _calm(turn: Turn) -> Turn:
    return msgspec.structs.replace(turn, faults=())


REWRITTEN = ("toolu_01", "call_1", "", "0b9e3c52-6c2c-4b4e-9a37-7c0a3c3b6f10")


@pytest.mark.parametrize("id_", REWRITTEN)
@pytest.mark.parametrize("text", [None, "Error: tool not found", "", "(result removed)"])
@pytest.mark.parametrize("name", ["long_tool_chain", "parallel_tools", "repeated_ids"])
def test_rewritten_ids(name: str, id_: str, text: str | None):
    """
    A framework that gives calls ids of its own, and results texts of its own, stays in step.
    """
    scenario = small(name)
    for number, messages, reply in walk(scenario):
        changed = [_rewritten(message, id_, text) for message in messages]
        plan = scenario.turns[number]
        place = locate(changed, plan.session, number, plan)

        assert place is not None
        assert reply == reply_at(plan, place)[1]


def _rewritten(message: Message, id_: str, text: str | None) -> Message:
    calls = tuple(msgspec.structs.replace(call, id=f"{id_}{number}") for number, call in enumerate(message.tool_calls))
    if message.role != "tool":
        return msgspec.structs.replace(message, tool_calls=calls)
    return msgspec.structs.replace(message, tool_call_id=f"{id_}0", content=message.content if text is None else text)


def test_system_messages_behind():
    """
    System messages after the user's do not hide it.
    """
    rig = rig_of(turn_of())
    hi = rig.begin()

    reply = rig.model.complete([hi, Message(role="system", content="context [#s0t7]")])
    assert "[#s0t0] there you are" == reply.content


def test_instructions_alone():
    """
    A model that is left with nothing but its instructions begins the turn again.
    """
    rig = rig_of(turn_of())
    rig.begin()

    assert "[#s0t0] there you are" == rig.model.complete([Message(role="system", content="be kind")]).content


@pytest.mark.parametrize(
    "messages",
    [
        [Message(role="assistant", content="[#s0t0] hi")],
        [Message(role="user", content="no marker")],
        [Message(role="user", content="[#s0t99] a turn that is not planned")],
        [Message(role="tool", content="lost", tool_call_id="x")],
        [
            Message(role="assistant", tool_calls=(ToolCall("x", "search", "[" * 100_000),)),
            Message(role="tool", content="x"),
        ],
        [
            Message(role="assistant", tool_calls=(ToolCall("x", "search", '["ref"]'),)),
            Message(role="tool", content="x"),
        ],
    ],
    ids=[
        "its own answer",
        "no place",
        "no such turn",
        "no call",
        "nested arguments",
        "a list",
    ],
)
def test_nothing_to_answer(messages: list[Message]):
    """
    A request that asks for nothing is answered so, and recorded as such.
    """
    rig = rig_of(turn_of())
    rig.begin()

    assert Message(role="assistant", content=NOTHING_TO_ANSWER) == rig.model.complete(messages)
    assert [-1] == [reply.round for reply in rig.of(Reply)]


def test_odd_text_without_marker():
    """
    A user's text that can carry no marker is known by itself, in its turn.
    """
    rig = rig_of(Turn(say="", answer="hm"), Turn(say=user_text(0, 1, "x"), answer="y"))
    empty = rig.begin()

    assert "[#s0t0] hm" == rig.model.complete([empty]).content


# ---------------------------------------------------------------------------------------------------------------------
# The kinds of requests


@pytest.mark.parametrize("name", ["parallel_tools", "odd_text"])
def test_kinds(name: str):
    """
    Message values are answered with one, dicts with a dict; sync, async and streamed replies are the same.
    """
    scenario = small(name)
    rig = Rig(msgspec.structs.replace(scenario, turns=[_calm(turn) for turn in scenario.turns]))
    for number, messages, reply in list(walk(scenario))[:60]:
        rig.session.begin(number, scenario.turns[number])
        dicts = [message.to_dict() for message in messages]

        assert reply == rig.model.complete(messages) == rig.model.complete(tuple(messages))
        assert reply.to_dict() == rig.model.complete(dicts)
        assert reply == asyncio.run(rig.model.acomplete(messages))
        assert reply.to_dict() == asyncio.run(rig.model.acomplete(dicts))
        assert reply == _joined(list(rig.model.stream(messages)))
        assert reply == _joined(asyncio.run(_collect(rig.model, messages)))


async def _collect(model: ScriptedModel, messages: Sequence[Message]) -> list[Chunk]:
    return [chunk async for chunk in model.astream(messages)]


def _joined(chunks: list[Chunk]) -> Message | None:
    last = chunks[-1].message
    assert last is not None
    assert [None] * (len(chunks) - 1) == [chunk.message for chunk in chunks[:-1]]
    assert last.content == "".join(chunk.text for chunk in chunks)
    return last


@given(st.text(max_size=30), st.integers(1, 40))
def test_streaming(text: str, chunks: int):
    """
    The pieces of a streamed reply join to the message, and take the time of the whole.
    """
    rig = rig_of(Turn(say=user_text(0, 0, "hi"), answer=text, chunks=chunks, delay_s=8.0))
    pieces = list(rig.model.stream([rig.begin()]))

    assert f"[#s0t0] {text}" == "".join(piece.text for piece in pieces)
    assert len(pieces) - 1 <= chunks
    assert 8.0 * (len(pieces) - 1) / chunks == pytest.approx(rig.clock.now())


def test_streams_that_are_given_up():
    """
    A stream that nobody reads to its end delivers no reply.
    """
    rig = rig_of(turn_of(chunks=5))
    next(rig.model.stream([rig.begin()]))

    assert 1 == len(rig.of(Request))
    assert [] == rig.of(Reply)


def test_dicts_that_are_changed_afterwards():
    """
    What was sent is what was recorded, although the loop changes its dicts later; and the change is seen.
    """
    rig = rig_of(turn_of(), turn_of(number=1))
    native: list[dict[str, Any]] = [{"role": "system", "content": "be kind"}, rig.begin().to_dict()]
    first = native.copy()
    native.append(rig.model.complete(native))
    native[0]["content"] = "be quick"
    native.append(rig.begin(1).to_dict())
    rig.model.complete(native)

    before, after = rig.of(Request)
    assert before.extends
    assert [Message(role="system", content="be kind")] == list(before.new)
    assert not after.extends
    assert [Message(role="system", content="be quick")] == list(after.new)
    assert first[0] is native[0]


def test_nested_dicts_that_are_changed():
    """
    A change deep inside of a tool call is a change.
    """
    rig = rig_of(turn_of(PlannedCall(name="search")))
    native: list[dict[str, Any]] = [rig.begin().to_dict()]
    native.append(rig.model.complete(native))
    native.append({"role": "tool", "tool_call_id": "call_s0t0r0c0", "content": "x"})
    rig.model.complete(native)
    native[1]["tool_calls"][0]["function"]["arguments"] = "{}"
    rig.model.complete(native)

    assert "{}" == rig.of(Request)[-1].new[0].tool_calls[0].arguments


def test_dicts_that_cannot_be_copied():
    """
    A dict that carries a framework's own object, which cannot be copied, is still read.
    """
    rig = rig_of(turn_of())
    native = [{**rig.begin().to_dict(), "_lock": threading.Lock()}]

    for _ in range(2):
        assert {"role": "assistant", "content": "[#s0t0] there you are"} == rig.model.complete(native)
    assert [1, 0] == [len(request.spans) for request in rig.of(Request)]


# ---------------------------------------------------------------------------------------------------------------------
# What cannot be served

LIST = "it takes a list of at least one message (looprig.messages.Message values or chat-completions dicts)"
VALUES = "it takes looprig.messages.Message values or chat-completions dicts"
UNREADABLE = "the loop called the model with a message it cannot read: "
ILL_TYPED = "the loop called the model with a message whose fields have wrong types: "
HI: Any = Message(role="user", content="hi")

untyped: Callable[..., Message] = Message
"""A `Message` checks nothing when it is made."""

RUBBISH: dict[str, tuple[Any, str]] = {
    "None": (None, f"the loop called the model with a value of type NoneType; {LIST}"),
    "text": ("hi", f"the loop called the model with a value of type str; {LIST}"),
    "no text": ("", f"the loop called the model with an empty list; {LIST}"),
    "bytes": (b"hi", f"the loop called the model with a value of type bytes; {LIST}"),
    "nothing": ([], f"the loop called the model with an empty list; {LIST}"),
    "one message": (HI, f"the loop called the model with a value of type Message; {LIST}"),
    "one dict": ({"role": "user"}, f"the loop called the model with a value of type dict; {LIST}"),
    "iterator": (iter([HI]), f"the loop called the model with a value of type list_iterator; {LIST}"),
    "numbers": ([42], f"the loop called the model with a message of type int; {VALUES}"),
    "texts": (["hi"], f"the loop called the model with a message of type str; {VALUES}"),
    "mixed": ([HI, None], f"the loop called the model with a message of type NoneType; {VALUES}"),
    "no role": (
        [{"content": "hi"}],
        f"{UNREADABLE}a message's role is one of system, user, assistant, tool; this one is None",
    ),
    "content": (
        [{"role": "user", "content": 3}],
        f"{UNREADABLE}a message's content is text or a list of parts, not int",
    ),
    "ill-typed content": (
        [untyped(role="user", content=None)],
        f"{ILL_TYPED}Expected `str`, got `null` - at `$[0].content`",
    ),
    "bytes in a message": (
        [untyped(role="user", content=b"x")],
        f"{ILL_TYPED}Expected `str`, got `bytes` - at `$[0].content`",
    ),
    "ill-typed role": ([untyped(role="human")], f"{ILL_TYPED}Invalid enum value 'human' - at `$[0].role`"),
    "calls as a list": (
        [untyped(role="assistant", tool_calls=[ToolCall("a", "b")])],
        f"{ILL_TYPED}unhashable type: 'list'",
    ),
}


@pytest.mark.parametrize("name", RUBBISH)
@pytest.mark.parametrize("how", ["complete", "acomplete", "stream", "astream"])
def test_rubbish(name: str, how: str):
    """
    What is no request is a TypeError for the loop, and is recorded out of the loop's reach.
    """
    native, message = RUBBISH[name]
    if name == "iterator":
        native = iter([HI])
    rig = rig_of(turn_of())
    rig.begin()

    ways: dict[str, Callable[[], object]] = {
        "complete": lambda: rig.model.complete(native),
        "acomplete": lambda: asyncio.run(rig.model.acomplete(native)),
        "stream": lambda: list(rig.model.stream(native)),
        "astream": lambda: asyncio.run(_collect(rig.model, native)),
    }
    with pytest.raises(TypeError) as caught:
        ways[how]()

    assert message == str(caught.value)
    assert [Misuse(session=0, text=message)] == rig.events


# ---------------------------------------------------------------------------------------------------------------------
# Faults, delays, and turns without end


@pytest.mark.parametrize(("kind", "status"), [("rate_limit", 429), ("server_error", 500), ("bad_request", 400)])
@pytest.mark.parametrize("times", [1, 3])
def test_faults(kind: Any, status: int, times: int):
    """
    A fault meets exactly the first requests of its round, again in each turn, and no other.
    """
    fault = Fault(kind=kind, round=1, times=times)
    rig = rig_of(
        *(
            turn_of(PlannedCall(name="search"), number=number, faults=(fault,) if number < 2 else ())
            for number in range(3)
        )
    )
    for number in range(3):
        hi = rig.begin(number)
        asking = rig.model.complete([hi])
        messages = [hi, asking, result_of(asking.tool_calls[0], "x")]
        for _ in range(times if number < 2 else 0):
            with pytest.raises(ModelError) as caught:
                rig.model.complete(messages)
            assert (status, f"{status}: planned by the scenario ({kind})") == (caught.value.status, str(caught.value))
        for _ in range(2):
            assert f"[#s0t{number}] there you are" == rig.model.complete(messages).content
        assert asking == rig.model.complete([hi])

    faults = [reply.fault for reply in rig.of(Reply)]
    assert 2 * times == faults.count(kind)
    assert len(faults) == len(rig.of(Request))


def test_timeouts():
    """
    A timeout is a reply that comes late; a loop that does not wait abandons it.
    """
    rig = rig_of(turn_of(delay_s=1.0, faults=(Fault(kind="timeout", times=2, delay_s=500.0),)))
    hi = rig.begin()

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10.0):
                await rig.model.acomplete([hi])

    events = rig.clock.event_loop()
    events.run_until_complete(impatient())
    events.close()
    assert ["abandoned"] == [reply.fault for reply in rig.of(Reply)]
    assert 10.0 == rig.clock.now()

    assert "[#s0t0] there you are" == rig.model.complete([hi]).content
    assert 510.0 == rig.clock.now()
    rig.model.complete([hi])
    assert 511.0 == rig.clock.now()


def test_endless_turn():
    """
    A turn that asks the model far more often than its script has rounds is stopped, past any `except Exception`.
    """
    rig = rig_of(turn_of(), turn_of(number=1))
    for number in range(2):
        hi = rig.begin(number)
        for _ in range(requests_allowed(rig.scenario.turns[number])):
            rig.model.complete([hi])
        with pytest.raises(TurnStopped) as caught:
            rig.model.complete([hi])
        assert not isinstance(caught.value, Exception)
        assert "the turn asked the model 23 times; its script has far fewer rounds" == str(caught.value)


# ---------------------------------------------------------------------------------------------------------------------
# Tools


def tool_rig(**fields: Any) -> tuple[Rig, dict[str, str]]:
    rig = rig_of(turn_of(PlannedCall(name="search", inputs={"query": "x"}, result="found", **fields)))
    return rig, {"query": "x", "ref": "s0t0r0c0"}


def test_ways_to_run():
    """
    A tool takes a mapping or keywords, by run, arun or a plain call.
    """
    rig, arguments = tool_rig(duration_s=2.0)
    tool = rig.tools["search"]
    events = rig.clock.event_loop()
    results = [
        tool.run(arguments),
        tool.run(**arguments),
        tool(arguments),
        tool(**arguments),
        tool.run(MappingProxyType(arguments)),
        events.run_until_complete(tool.arun(arguments)),
        events.run_until_complete(tool.arun(**arguments)),
    ]
    events.close()

    assert ["[#s0t0r0c0] found"] * 7 == results
    assert 14.0 == rig.clock.now()
    assert {json.dumps(arguments)} == {event.arguments for event in rig.of(ToolStarted)}
    assert [(0, 0, 0, "ok")] * 7 == [(end.turn, end.round, end.call, end.outcome) for end in rig.of(ToolEnded)]
    assert [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0] == [event.at_s for event in rig.of(ToolStarted)]


def test_outcomes():
    """
    A tool can raise, hang, return megabytes, or return what JSON cannot hold.
    """
    rig, arguments = tool_rig(outcome="raise", duration_s=1.0)
    with pytest.raises(ToolFailed, match=r"^\[#s0t0r0c0\] found$"):
        rig.tools["search"].run(arguments)
    assert (["raised"], 1.0) == ([end.outcome for end in rig.of(ToolEnded)], rig.clock.now())

    rig, arguments = tool_rig(outcome="hang")
    rig.tools["search"].run(arguments)
    assert 3600.0 == rig.clock.now()

    rig, arguments = tool_rig(outcome="huge")
    huge = rig.tools["search"].run(arguments)
    assert isinstance(huge, str)
    assert (HUGE_CHARS, True) == (len(huge), huge.startswith("[#s0t0r0c0] found..."))

    rig, arguments = tool_rig(outcome="unserialisable")
    with pytest.raises(TypeError):
        json.dumps(rig.tools["search"].run(arguments))


def test_cancelled():
    """
    A tool that is cancelled ends so, at the time of the cancellation.
    """
    rig, arguments = tool_rig(outcome="hang")

    async def impatient() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10.0):
                await rig.tools["search"].arun(arguments)

    events = rig.clock.event_loop()
    events.run_until_complete(impatient())
    events.close()

    assert [("cancelled", 10.0)] == [(end.outcome, end.at_s) for end in rig.of(ToolEnded)]


@pytest.mark.parametrize(
    "ref",
    [
        None,
        "",
        "s0t0",
        "s0t9r0c0",
        "s0t0r9c0",
        "s0t0r0c9",
        "s0t0r0",
        f"s0t{10**20}r0c0",
        "s" + "9" * 5000 + "t0",
        3,
        {},
    ],
)
def test_unplanned(ref: object):
    """
    A call that the scenario does not plan gives a text that says so.
    """
    rig, _ = tool_rig()

    assert "(The scenario plans nothing for this call.)" == rig.tools["search"].run({"ref": ref})
    assert 1 == len(rig.of(ToolStarted)) == len(rig.of(ToolEnded))


@pytest.mark.parametrize("arguments", ["{}", '{"query": "x"}', [], 3, b"", ["query"]])
def test_arguments_that_are_none(arguments: Any):
    """
    Arguments that were not parsed are a TypeError for the loop, and recorded.
    """
    rig, _ = tool_rig()

    with pytest.raises(TypeError, match=r"^the loop ran the tool search with .*; it takes a mapping of arguments"):
        rig.tools["search"].run(arguments)
    assert [Misuse] == [type(event) for event in rig.events]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"a": {1}}, '{"a": "{1}"}'),
        ({(1, 2): 3}, "{(1, 2): 3}"),
        ({"a": "\ud83d"}, '{"a": "\\ud83d"}'),
    ],
)
def test_arguments_that_json_cannot_hold(arguments: Any, shown: str):
    """
    Whatever arguments a loop makes up, they are recorded, and the tool runs.
    """
    rig, _ = tool_rig()
    rig.tools["search"].run(arguments)

    assert [shown] == [event.arguments for event in rig.of(ToolStarted)]


def test_arguments_that_hold_themselves():
    """
    A cycle in the arguments does not stop the recording.
    """
    rig, _ = tool_rig()
    arguments: dict[str, Any] = {}
    arguments["self"] = arguments
    rig.tools["search"].run(arguments)

    assert ["{'self': {...}}"] == [event.arguments for event in rig.of(ToolStarted)]


def test_tools_are_a_mapping():
    """
    A loop finds the tools as it finds the entries of a dict.
    """
    rig, _ = tool_rig()

    assert "search" in rig.tools
    assert sorted(rig.tools) == sorted(tool.name for tool in rig.tools.values())
    assert len(rig.tools) == len(list(rig.tools))
    assert rig.tools.get("nobody") is None
    with pytest.raises(KeyError):
        rig.tools["nobody"]


@pytest.mark.parametrize(
    ("call_id", "arguments", "granted"),
    [
        ("call_s0t0r0c0", "{}", True),
        ("call_s0t0r1c0", "{}", False),
        ("rewritten", '{"ref": "s0t0r0c0"}', True),
        ("rewritten", {"ref": "s0t0r0c0"}, True),
        ("rewritten", '{"ref": "s0t0r1c0"}', False),
        ("call_s0t0r0c9", "{}", False),
        ("call_s0t0r9c0", "{}", False),
        ("call_s0t9r0c0", "{}", False),
        ("call_s0t0", "{}", False),
        ("rewritten", "no JSON", False),
        ("rewritten", "[" * 100_000, False),
        ("rewritten", None, False),
        (None, "{}", False),
    ],
)
def test_approval(call_id: Any, arguments: Any, granted: bool):
    """
    A call is approved as planned, by its id or its arguments; one that nobody planned is denied.
    """
    rig = rig_of(turn_of(PlannedCall(name="delete_file"), PlannedCall(name="delete_file", approve=False)))

    assert granted == rig.tools.approve(call_id, "delete_file", arguments)
    assert [("delete_file", granted)] == [(event.name, event.granted) for event in rig.of(Approval)]


def test_threads():
    """
    Tools that run in threads at once lose no event, and emit one at a time: what listens needs no lock.
    """
    rig, arguments = tool_rig()
    busy: list[int] = []
    together_in_there: list[int] = []

    def emit(event: Event) -> None:
        busy.append(1)
        time.sleep(0)  # lets another thread in, where nothing holds it back
        together_in_there.append(len(busy))
        rig.events.append(event)
        busy.pop()

    rig.session._emit = emit
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        for _ in range(200):
            rig.tools["search"].run(arguments)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1600 == len(rig.of(ToolStarted)) == len(rig.of(ToolEnded))
    assert {1} == set(together_in_there)


# ---------------------------------------------------------------------------------------------------------------------
# The probe of a trim

MESSAGES = [Message(role="user", content=str(number)) for number in range(6)]


def test_probe():
    """
    A trim is found out that is not idempotent, not deterministic, changes its input, or raises.
    """
    calls: list[int] = []

    def moody(messages: Sequence[Message]) -> Sequence[Message]:
        calls.append(1)
        return messages[len(calls) :]

    def emptying(messages: Any) -> Any:
        kept = messages[-2:]
        messages.clear()
        return kept

    def failing(messages: Sequence[Message]) -> Sequence[Message]:
        raise ValueError("no")

    good = probe(lambda messages: messages[-2:], list(MESSAGES), 0)
    assert ("", "", "") == (good.not_idempotent, good.input_changed, good.not_deterministic)
    assert (
        "trimming 6 messages leaves 5, trimming these leaves 4"
        == probe(lambda m: m[1:], list(MESSAGES), 0).not_idempotent
    )
    assert (
        "the same 6 messages were trimmed to 5, then to 4 others" == probe(moody, list(MESSAGES), 0).not_deterministic
    )
    assert "the list of 6 messages given to trim has 0 afterwards" == probe(emptying, list(MESSAGES), 0).input_changed
    assert "trim raised ValueError: no" == probe(failing, list(MESSAGES), 0).not_deterministic
