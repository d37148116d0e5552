"""Responses refuses what OpenAI refuses, in its words and its order, and takes what it takes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from looprig.providers import PROVIDERS
from looprig.providers.base import Answer, Problem, Received, Refused, Seen
from looprig.providers.openai_items import Known
from looprig.providers.openai_responses import ORDER, OpenAIResponses
from looprig.providers.openai_store import Link, Store, chain
from tests.providers.response_bodies import body, call, inputs, result, said, thought, user

RESPONSES = PROVIDERS["openai-responses"]


def refused(raw: bytes, provider: Any = RESPONSES) -> Problem:
    with pytest.raises(Refused) as caught:
        provider.receive(raw, Seen())
    return caught.value.problem


def envelope(message: str, param: str | None, code: str | None) -> bytes:
    told = [json.dumps(each, ensure_ascii=False) for each in (message, param, code)]
    kind = "invalid_request_error"
    return f'{{"error":{{"message":{told[0]},"type":"{kind}","param":{told[1]},"code":{told[2]}}}}}'.encode()


NO_OUTPUT = "No tool output found for function call "
NO_CALL = "No tool call found for function call output with call_id "
MOVED = (
    "Unsupported parameter: 'messages'. In the Responses API, this parameter has moved to 'input'. Try again with the "
    "new parameter. See the API documentation for more information: "
    "https://platform.openai.com/docs/api-reference/responses/create."
)
NOTHING = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided."

RULES: list[tuple[str, bytes, str, str | None, str | None]] = [
    ("R1", body(user(), call("call_X")), NO_OUTPUT + "call_X.", "input", None),
    ("R1", body(user(), call("call_X"), call("call_Y"), result("call_Y")), NO_OUTPUT + "call_X.", "input", None),
    ("R2", body(user(), result("call_X")), NO_CALL + "call_X.", "input", None),
    (
        "R3",
        body(user(), thought("rs_X")),
        "Item 'rs_X' of type 'reasoning' was provided without its required following item.",
        "input",
        None,
    ),
    (
        "R3",
        body(thought("rs_X"), user()),
        "Item 'rs_X' of type 'reasoning' was provided without its required following item.",
        "input",
        None,
    ),
    (
        "R4",
        body(user(), said(id="msg_rs_X")),
        "Item 'msg_rs_X' of type 'message' was provided without its required 'reasoning' item: 'rs_X'.",
        "input",
        None,
    ),
    (
        "R4",
        body(call(id="fc_0_rs_X"), result()),
        "Item 'fc_0_rs_X' of type 'function_call' was provided without its required 'reasoning' item: 'rs_X'.",
        "input",
        None,
    ),
    (
        "R5",
        body(call(id="fc_X"), result(), call(id="fc_X"), result()),
        "Duplicate item found with id fc_X. Remove duplicate items from your input and try again.",
        "input",
        None,
    ),
    (
        "R6",
        body(user(), previous_response_id="resp_X"),
        "Previous response with id 'resp_X' not found.",
        "previous_response_id",
        "previous_response_not_found",
    ),
    ("R7", body(user(), model="gpt-x"), "The requested model 'gpt-x' does not exist.", "model", "model_not_found"),
    ("R8", body(input=...), "Missing required parameter: 'input'.", "input", "missing_required_parameter"),
    ("R9", body(), NOTHING, None, "missing_required_parameter"),
    ("R10", body(input=..., messages=[user()]), MOVED, None, "unsupported_parameter"),
    (
        "R11",
        body({"role": "bogus", "content": "x"}),
        "Invalid value: 'bogus'. Supported values are: 'assistant', 'system', 'developer', and 'user'.",
        "input[0]",
        "invalid_value",
    ),
    (
        "R12",
        body(said([{"type": "input_text", "text": "x"}])),
        "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
        "input[0].content[0]",
        "invalid_value",
    ),
    (
        "R13",
        body(user(), temperature=-1),
        "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 instead.",
        "temperature",
        "decimal_below_min_value",
    ),
]


@pytest.mark.parametrize(("rule", "raw", "message", "param", "code"), RULES)
def test_rule(rule: str, raw: bytes, message: str, param: str | None, code: str | None):
    """
    A request that breaks a rule is refused with status 400 and, to the byte, the rule's body.
    """
    problem = refused(raw)

    assert (rule, 400, True) == (problem.rule, problem.status, problem.pinned)
    assert envelope(message, param, code) == RESPONSES.problem(problem, "req_1")


def test_too_many_tokens():
    """
    A prompt over the window is refused, unless the request wants it cut from the start (R14).
    """
    small = OpenAIResponses(window=20, count=len)
    items = [user("a" * 9), call(), result(), user("b" * 9)]

    problem = refused(body(*items), small)
    cut = small.receive(body(*items, truncation="auto", instructions="I"), Seen())

    assert ("R14", "input", "context_length_exceeded") == (problem.rule, problem.param, problem.code)
    text = "Your input exceeds the context window of this model. Please adjust your input and try again."
    assert envelope(text, "input", "context_length_exceeded") == small.problem(problem, "req_1")
    assert [Message("system", "I"), Message("user", "b" * 9)] == cut.messages
    assert problem == RESPONSES.fault("context_overflow", window=1, tokens=2)


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([user(), call(), said("wait"), user(), result()], id="other items between call and result"),
        pytest.param([result(), call()], id="a result before its call"),
        pytest.param([call("a"), call("b"), result("b"), result("a")], id="results in another order"),
        pytest.param([call("a"), result("a"), call("a"), result("a")], id="an id again"),
        pytest.param([user(), user(), said(), said()], id="one role several times"),
        pytest.param([user(""), user([])], id="an empty content"),
        pytest.param([{"role": "system", "content": "x"}, user(), {"role": "developer", "content": "y"}], id="system"),
        pytest.param([said([{"type": "output_text", "text": "x"}, {"type": "refusal", "refusal": "no"}])], id="parts"),
        pytest.param([user([{"type": "input_image", "image_url": "data:,x"}])], id="an image"),
        pytest.param([result(output=[{"type": "input_text", "text": "x"}]), call()], id="a result in parts"),
        pytest.param([thought(), call(), result()], id="a thought before a call"),
        pytest.param([thought(), said()], id="a thought before an answer"),
        pytest.param([thought("rs_1"), said(id="msg_rs_1")], id="an answer behind its thought"),
        pytest.param(
            [thought("rs_1"), call("a", id="fc_0_rs_1"), call("b", id="fc_1_rs_1"), result("a"), result("b")],
            id="two calls behind one thought",
        ),
        pytest.param(
            [
                {"type": "custom_tool_call", "call_id": "a", "name": "f", "input": "x"},
                {"type": "custom_tool_call_output", "call_id": "a", "output": "y"},
            ],
            id="a custom call",
        ),
        pytest.param([user(), {"type": "web_search_call", "id": "ws_1", "status": "completed"}], id="a search"),
    ],
)
def test_legal(items: list[Any]):
    """
    What the API takes is taken, also where it looks odd.
    """
    assert RESPONSES.receive(body(*items), Seen()).messages


PRECEDENCE = [
    ("R7", body(input=..., model="gpt-x", zzz=1)),
    ("R8", body(input=..., zzz=1)),
    ("R10", body(user(), messages=[], zzz=1)),
    ("unknown", body({"role": "bogus", "content": "x"}, zzz=1)),
    ("R11", body({"role": "bogus", "content": "x"}, temperature=-1)),
    ("R12", body(said([{"type": "input_text", "text": "x"}]), previous_response_id="resp_X")),
    ("R13", body(user(), temperature=-1, previous_response_id="resp_X")),
    ("R13", body(temperature=-1)),
    ("R6", body(previous_response_id="resp_X")),
    ("R6", body(call(), previous_response_id="resp_X")),
    ("R1", body(call(), result("call_x"))),
    ("R5", body(call(id="x"), user(), call("call_b", id="x"))),
]


@pytest.mark.parametrize(("rule", "raw"), PRECEDENCE)
def test_precedence(rule: str, raw: bytes):
    """
    Of two faults the one that OpenAI looks at first is reported.
    """
    assert rule == refused(raw).rule


@pytest.mark.parametrize(
    ("items", "param"),
    [
        ([7], "input[0]"),
        ([user(), {"content": "x", "type": "message"}], "input[1].role"),
        ([{"role": "user"}], "input[0].content"),
        ([user(7)], "input[0].content"),
        ([user([7])], "input[0].content[0]"),
        ([user([{"text": "x"}])], "input[0].content[0].type"),
        ([user([{"type": "text", "text": "x"}])], "input[0].content[0]"),
        ([user([{"type": "input_text"}])], "input[0].content[0].text"),
        ([{"type": "function_call"}], "input[0].call_id"),
        ([{"type": "function_call", "call_id": "a"}], "input[0].name"),
        ([{"type": "function_call", "call_id": "a", "name": "f"}], "input[0].arguments"),
        ([call(arguments={})], "input[0].arguments"),
        ([call(), {"type": "function_call_output", "output": "x"}], "input[1].call_id"),
        ([call(), {"type": "function_call_output", "call_id": "a"}], "input[1].output"),
        ([call(name=7)], "input[0].name"),
        ([{"type": "bogus"}], "input[0]"),
        ([{}], "input[0].type"),
    ],
)
def test_misspelled(items: list[Any], param: str):
    """
    An item that is no item is refused by the place of the fault, in words that are not pinned.
    """
    problem = refused(body(*items))

    assert (400, param, False) == (problem.status, problem.param, problem.pinned)


def test_place_of_a_new_item():
    """
    In a request that goes on from the one before, items are counted from its beginning.
    """
    seen = Seen()
    RESPONSES.receive(body(user(), call(), result()), seen)

    for item in ({"type": "bogus"}, {"role": "bogus", "content": "x"}):
        with pytest.raises(Refused) as caught:
            RESPONSES.receive(body(user(), call(), result(), item), seen)
        assert "input[3]" == caught.value.problem.param


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"input":', b'{"model":"gpt-4o","input":"\xff"}', b'{"model":' + b"[" * 100_000]
)
def test_no_json(raw: bytes):
    """
    A body that is no JSON object is refused, and not with an error of ours.
    """
    assert (400, "JSON") == (refused(raw).status, refused(raw).rule)


@pytest.mark.parametrize("name", ["max_tokens", "response_format", "reasoning_effort"])
def test_moved(name: str):
    """
    A parameter of Chat Completions is answered with where it has gone.
    """
    problem = refused(body(user(), **{name: 1}))

    assert ("R10", False) == (problem.rule, problem.pinned)


@pytest.mark.parametrize("value", [None, 1, "text", [7], {}, True])
@pytest.mark.parametrize("name", ORDER)
def test_fields(name: str, value: Any):
    """
    A field takes null and values of its type; a value of another type is refused by the field's name.
    """
    try:
        RESPONSES.receive(body(user(), **{name: value}), Seen())
        param = name
    except Refused as refusal:
        problem = refusal.problem
        param = (problem.param or "").partition("[")[0]
    assert name == param


def test_knows_every_parameter_of_the_official_client():
    """
    What the official client can send is no unknown parameter.
    """
    from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming as Plain

    sendable = Plain.__required_keys__ | Plain.__optional_keys__

    assert set() == sendable - {*ORDER, "input", "model"}
    assert len(sendable) > 25


# -- what is read --------------------------------------------------------------------------------------------------


def test_read():
    """
    Items are read into looprig's words: instructions first, and calls join the message that they come behind.
    """
    items = [
        {"role": "developer", "content": "Be quick."},
        user([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]),
        thought(),
        said([{"type": "output_text", "text": "wait"}]),
        call("a"),
        call("b"),
        result("b", [{"type": "input_text", "text": "found"}]),
        result("a"),
        call("c"),
        result("c"),
    ]

    read = RESPONSES.receive(body(*items, instructions="Be brief.", stream=True), Seen())

    assert [
        Message("system", "Be brief."),
        Message("system", "Be quick."),
        Message("user", "ab"),
        Message("assistant", "wait", (ToolCall("a", "search"), ToolCall("b", "search"))),
        Message("tool", "found", tool_call_id="b"),
        Message("tool", "found", tool_call_id="a"),
        Message("assistant", "", (ToolCall("c", "search"),)),
        Message("tool", "found", tool_call_id="c"),
    ] == read.messages
    assert read.stream


def test_input_as_text():
    """
    A text for the input is one message of the user; no text is no input.
    """
    assert [Message("user", "hi")] == RESPONSES.receive(b'{"model":"gpt-4o","input":"hi"}', Seen()).messages
    assert "R9" == refused(b'{"model":"gpt-4o","input":""}').rule
    assert "input" == refused(b'{"model":"gpt-4o","input":7}').param
    assert "R8" == refused(b'{"model":"gpt-4o","input":null}').rule


@given(inputs())
def test_whole_groups_are_accepted(items: list[dict[str, Any]]):
    """
    An input in which every call has its result is accepted, wherever they stand, in both forms.
    """
    received = RESPONSES.receive(body(*items), Seen())

    assert RESPONSES.judge(received.messages, 0, Seen()) is None


@given(inputs(), st.data())
def test_one_item_less(items: list[dict[str, Any]], data: st.DataObject):
    """
    Without one call, or one result, or the item behind a thought, the input is refused, by the rule that says so.
    """
    matters = [n for n, each in enumerate(items) if each.get("type", "").startswith("function_call")]
    if not matters:
        return
    gone = data.draw(st.sampled_from(matters))
    rest = items[:gone] + items[gone + 1 :]

    rule = refused(body(*rest)).rule

    if items[gone]["type"] == "function_call_output":
        assert "R1" == rule
    elif gone and items[gone - 1].get("type") == "reasoning":
        assert rule in ("R2", "R3")  # the next item may be a call, too
    else:
        assert "R2" == rule


@given(inputs(), inputs(), st.sampled_from(["", "stray", "twice"]))
def test_grown_request(old: list[dict[str, Any]], new: list[dict[str, Any]], fault: str):
    """
    A request that goes on from the one before is judged and read as if it were the first.
    """
    renamed = json.loads(json.dumps(new).replace("call_", "later_").replace("fc_", "fd_").replace("rs_", "rt_"))
    stray = {"": [], "stray": [result("nobody")], "twice": [call("z", id="z"), result("z"), call("z", id="z")]}[fault]
    grown = old + renamed + stray
    seen = Seen()
    RESPONSES.receive(body(*old), seen)

    assert _outcome(grown, Seen()) == _outcome(grown, seen)


def _outcome(items: list[dict[str, Any]], seen: Seen) -> Any:
    try:
        received = RESPONSES.receive(body(*items), seen)
    except Refused as error:
        return error.problem
    messages, known = chain(received.context)
    assert messages == received.messages == seen.messages
    assert (known.ids, known.calls) == (seen.state[0].ids, seen.state[0].calls)
    return messages, seen.state[0], seen.open


def test_call_that_joins_an_old_message():
    """
    A call that is new joins the answer before it, in a request that grew as in one that did not.
    """
    seen = Seen()
    RESPONSES.receive(body(user(), said("wait")), seen)

    grown = RESPONSES.receive(body(user(), said("wait"), call(), result()), seen)

    expected = [
        Message("user", "hi"),
        Message("assistant", "wait", (ToolCall("call_a", "search"),)),
        Message("tool", "found", tool_call_id="call_a"),
    ]
    assert expected == grown.messages
    assert expected == chain(grown.context)[0]


@given(inputs(), inputs())
def test_judged_in_steps(old: list[dict[str, Any]], new: list[dict[str, Any]]):
    """
    Judged in two steps, a conversation is judged as in one, and a refusal changes nothing.
    """
    first, second = (RESPONSES.receive(body(*items), Seen()).messages for items in (old, new))
    messages = [*first, *second]
    stray = Message("tool", "x", tool_call_id="nobody")
    seen = Seen()
    assert RESPONSES.judge(first, 0, seen) is None

    assert "R2" == _rule(RESPONSES.judge([*first, stray], len(first), seen))
    assert "R2" == _rule(RESPONSES.judge([*first, stray], 0, Seen()))
    assert RESPONSES.judge(messages, len(first), seen) is None


def _rule(problem: Problem | None) -> str | None:
    return problem.rule if problem else None


def test_judged_in_process():
    """
    What is asked in process: an empty request, and calls and results, wherever they stand.
    """
    asks, answered = Message("assistant", "", (ToolCall("a", "f"),)), Message("tool", "x", tool_call_id="a")

    assert "R9" == _rule(RESPONSES.judge([], 0, Seen()))
    assert "R1" == _rule(RESPONSES.judge([asks], 0, Seen()))
    assert RESPONSES.judge([asks, Message("user", "and?"), answered], 0, Seen()) is None


# -- chains --------------------------------------------------------------------------------------------------------


class Server:
    """Answers requests one after another, and remembers."""

    def __init__(self, size: int = 100, model: str = "gpt-4o") -> None:
        self.store = Store(size)
        self.provider = OpenAIResponses(self.store)
        self.model, self.count = model, 0

    def ask(self, *items: Any, says: Message | None = None, seen: Seen | None = None, **fields: Any) -> Any:
        """Return what was received and the response."""
        received = self.provider.receive(body(*items, model=self.model, **fields), seen or Seen())
        return received, self.answer(received, says or Message("assistant", "well"))

    def answer(self, received: Received, message: Message) -> Any:
        self.count += 1
        pieces = ((message.content,), *((each.arguments,) for each in message.tool_calls))
        said = Answer(id=f"{self.count}", created=7, model=self.model, message=message, pieces=pieces)
        return json.loads(self.provider.answer(said, received))


ASKS = Message("assistant", "", (ToolCall("call_a", "search"),))


def test_chain():
    """
    A request that goes on from a response has all that was said before it; instructions do not go with it.
    """
    server = Server()
    _, first = server.ask(user("1"), says=ASKS, instructions="Be brief.")
    _, second = server.ask(result(), previous_response_id=first["id"])

    received, _ = server.ask(user("2"), previous_response_id=second["id"], instructions="Be quick.")

    assert [
        Message("system", "Be quick."),
        Message("user", "1"),
        ASKS,
        Message("tool", "found", tool_call_id="call_a"),
        Message("assistant", "well"),
        Message("user", "2"),
    ] == received.messages


def test_pairing_along_a_chain():
    """
    A result may answer a call of the chain, and has to; an item of the chain is not sent again.
    """
    server = Server()
    _, first = server.ask(user(), says=ASKS)
    previous = first["id"]

    assert "R1" == refused(body(user(), previous_response_id=previous), server.provider).rule
    assert "R2" == refused(body(result(), result("x"), previous_response_id=previous), server.provider).rule
    again = {**first["output"][0]}
    assert "R5" == refused(body(again, result(), previous_response_id=previous), server.provider).rule
    server.ask(result(), previous_response_id=previous)


def test_two_ways_from_one_response():
    """
    Two requests may go on from one response, and know nothing of one another.
    """
    server = Server()
    _, first = server.ask(user("1"))

    one, _ = server.ask(user("left"), previous_response_id=first["id"])
    other, _ = server.ask(user("right"), previous_response_id=first["id"])

    assert ["1", "well", "left"] == [message.content for message in one.messages]
    assert ["1", "well", "right"] == [message.content for message in other.messages]


def test_chain_behind_a_whole_history():
    """
    A history that grows request by request can be gone on from at each of its responses.
    """
    server, seen = Server(), Seen()
    _, first = server.ask(user("1"), seen=seen)
    history = [user("1"), said(), user("2")]
    _, second = server.ask(*history, seen=seen)

    from_first, _ = server.ask(user("x"), previous_response_id=first["id"], seen=seen)
    from_second, _ = server.ask(user("y"), previous_response_id=second["id"], seen=seen)
    grown, _ = server.ask(*history, said(), user("3"), seen=seen)

    assert ["1", "well", "x"] == [message.content for message in from_first.messages]
    assert ["1", "well", "2", "well", "y"] == [message.content for message in from_second.messages]
    assert ["1", "well", "2", "well", "3"] == [message.content for message in grown.messages]


def test_previous_response_with_no_input():
    """
    A request may go on from a response and add nothing.
    """
    server = Server()
    _, first = server.ask(user("1"))

    received, _ = server.ask(previous_response_id=first["id"])

    assert 2 == len(received.messages)


def test_not_stored():
    """
    A response that the request did not want stored cannot be gone on from.
    """
    server = Server()
    _, first = server.ask(user(), store=False)

    assert first["store"] is False
    assert "R6" == refused(body(user(), previous_response_id=first["id"]), server.provider).rule


def test_store_is_bounded():
    """
    Of more responses than the store holds the one asked for longest ago is forgotten, with its items.
    """
    server = Server(size=2)
    responses = [server.ask(user(str(number)))[1] for number in range(3)]

    assert 2 == len(server.store)
    assert "R6" == refused(body(user(), previous_response_id=responses[0]["id"]), server.provider).rule
    assert server.store.item(responses[0]["output"][0]["id"]) is None
    assert server.store.item(responses[2]["output"][0]["id"]) is not None
    server.ask(user(), previous_response_id=responses[1]["id"])


def test_long_chain():
    """
    A chain may be longer than Python nests calls, while it grows and when it is let go.
    """
    link: Link | None = None
    for number in range(100_000):
        link = Link(link, [Message("user", str(number))], Known())

    messages, _ = chain(link)
    del link

    assert 100_000 == len(messages)


def test_item_reference():
    """
    An item that the store has may be sent by its id alone; one that it does not have is not found.
    """
    server = Server()
    _, first = server.ask(user(), says=ASKS)
    reference = {"type": "item_reference", "id": first["output"][0]["id"]}

    received, _ = server.ask(user(), reference, result())

    assert ASKS == received.messages[1]
    problem = refused(body(user(), {"type": "item_reference", "id": "x"}), server.provider)
    assert (404, "Item with id 'x' not found.", False) == (problem.status, problem.message, problem.pinned)


@pytest.mark.parametrize("kept", ["conversation", "prompt"])
def test_kept_elsewhere(kept: str):
    """
    What is kept with OpenAI is not found here.
    """
    assert 404 == refused(body(user(), **{kept: {"id": "x"}})).status


# -- reasoning -----------------------------------------------------------------------------------------------------


def test_reasoning_items_go_with_what_they_led_to():
    """
    What a model that reasons said is taken back whole, and refused without its thought, or without what followed it.
    """
    server = Server(model="gpt-5-mini")
    _, first = server.ask(user(), says=ASKS)
    rs, fc = first["output"]

    assert ("reasoning", "function_call") == (rs["type"], fc["type"])
    whole, _ = server.ask(user(), rs, fc, result(), store=False)
    assert ASKS == whole.messages[1]
    assert "R4" == refused(body(user(), fc, result(), model="gpt-5-mini"), server.provider).rule
    assert "R3" == refused(body(user(), rs, model="gpt-5-mini"), server.provider).rule
    server.ask(user(), {key: value for key, value in fc.items() if key != "id"}, result())
    server.ask(result(), previous_response_id=first["id"])


def test_thought_in_the_chain():
    """
    An item may be sent whose thought is in the chain.
    """
    server = Server(model="gpt-5-mini")
    _, first = server.ask(user())
    item = {**first["output"][1], "id": "msg_0" + first["output"][1]["id"].removeprefix("msg")}

    received, _ = server.ask(item, user(), previous_response_id=first["id"])

    assert 4 == len(received.messages)
