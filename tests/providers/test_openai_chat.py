"""Chat Completions refuses what OpenAI refuses, in its words and its order, and takes what it takes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from looprig.providers import PROVIDERS
from looprig.providers.base import Problem, Refused, Seen
from looprig.providers.openai_chat import ORDER, OpenAIChat
from tests.providers.chat_bodies import TOOL, asks, body, call, histories, result, said, system, user

CHAT = PROVIDERS["openai-chat"]
LONG = "call_" + "x" * 151


def refused(raw: bytes, provider: Any = CHAT) -> Problem:
    with pytest.raises(Refused) as caught:
        provider.receive(raw, Seen())
    return caught.value.problem


def envelope(message: str, param: str | None, code: str | None, kind: str = "invalid_request_error") -> bytes:
    """Spell an error as OpenAI does: four keys, always in this order."""
    told = [json.dumps(each, ensure_ascii=False) for each in (message, kind, param, code)]
    return f'{{"error":{{"message":{told[0]},"type":{told[1]},"param":{told[2]},"code":{told[3]}}}}}'.encode()


def problem_of(raw: bytes) -> Problem | None:
    try:
        CHAT.receive(raw, Seen())
    except Refused as error:
        return error.problem
    return None


EMPTY = "empty array. Expected an array with minimum length 1, but got an empty array instead."
ORPHAN = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
OPEN = (
    "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: "
)
NULL = "Invalid value for 'content': expected a string, got null."

RULES: list[tuple[str, bytes, int, str, str | None, str | None]] = [
    ("C1", body(user(), result()), 400, ORPHAN, "messages.[1].role", None),
    ("C1", body(result()), 400, ORPHAN, "messages.[0].role", None),
    ("C1", body(user(), asks("call_a"), result(), user(), result()), 400, ORPHAN, "messages.[4].role", None),
    ("C1", body(user(), said(), result()), 400, ORPHAN, "messages.[2].role", None),
    ("C2", body(user(), asks("call_a", "call_b")), 400, OPEN + "call_a, call_b", "messages.[1].role", None),
    ("C2", body(user(), asks("call_a", "call_b"), result(), user()), 400, OPEN + "call_b", "messages.[3].role", None),
    ("C2", body(user(), asks("call_a"), system(), result()), 400, OPEN + "call_a", "messages.[2].role", None),
    ("C2", body(asks("call_a"), asks("call_b"), result("call_b")), 400, OPEN + "call_a", "messages.[1].role", None),
    (
        "C3",
        body(user(), asks("call_a"), result("X")),
        400,
        "Invalid parameter: 'tool_call_id' of 'X' not found in 'tool_calls' of previous message.",
        "messages.[2].tool_call_id",
        None,
    ),
    (
        "C4",
        body(*[user()] * 6, asks("call_X"), result("call_X"), result("call_X")),
        400,
        "Invalid parameter: Duplicate value for 'tool_call_id' of 'call_X', in messages[7] and messages[8].",
        "messages.[8].tool_call_id",
        None,
    ),
    (
        "C5",
        body(user(), {**said(), "tool_calls": []}),
        400,
        f"Invalid 'messages[1].tool_calls': {EMPTY}",
        "messages[1].tool_calls",
        "empty_array",
    ),
    ("C6", body(user(), said(None)), 400, NULL, "messages.[1].content", None),
    ("C6", body(user(), {"role": "assistant"}), 400, NULL, "messages.[1].content", None),
    ("C6", body(user(), {"role": "user"}), 400, NULL, "messages.[1].content", None),
    ("C6", body(user(), asks("call_a"), result(text=None)), 400, NULL, "messages.[2].content", None),
    ("C6", body(user(), {**said(None), "tool_calls": None, "refusal": None}), 400, NULL, "messages.[1].content", None),
    (
        "C7",
        body(user(7)),
        400,
        "Invalid type for 'messages[0].content': expected one of a string or array of objects, "
        "but got an integer instead.",
        "messages[0].content",
        "invalid_type",
    ),
    (
        "C8",
        body({"role": "bogus", "content": "x"}),
        400,
        "Invalid value: 'bogus'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and "
        "'developer'.",
        "messages[0].role",
        "invalid_value",
    ),
    ("C9", body(), 400, f"Invalid 'messages': {EMPTY}", "messages", "empty_array"),
    ("C10", b'{"model":"gpt-4o"}', 400, "Missing required parameter: 'messages'.", "messages",
     "missing_required_parameter"),
    ("C11", body(user(), model=...), 400, "you must provide a model parameter", None, None),
    ("C12", body(user(), zzz=1), 400, "Unknown parameter: 'zzz'.", "zzz", "unknown_parameter"),
    ("C13", body(user(), tools=[]), 400, f"Invalid 'tools': {EMPTY}", "tools", "empty_array"),
    (
        "C14",
        body(user(), tool_choice="auto"),
        400,
        "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.",
        "tool_choice",
        None,
    ),
    (
        "C15",
        body(user(), model="gpt-5-mini", max_tokens=9),
        400,
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        "max_tokens",
        "unsupported_parameter",
    ),
    (
        "C16",
        body(user(), said(), asks(LONG), result(LONG)),
        400,
        "Invalid 'messages[2].tool_calls[0].id': string too long. Expected a string with maximum length 40, "
        "but got a string with length 156 instead.",
        "messages[2].tool_calls[0].id",
        "string_above_max_length",
    ),
    (
        "C16",
        body(asks("call_a"), result(LONG)),
        400,
        "Invalid 'messages[1].tool_call_id': string too long. Expected a string with maximum length 40, "
        "but got a string with length 156 instead.",
        "messages[1].tool_call_id",
        "string_above_max_length",
    ),
    (
        "C17",
        body(user(), model="gpt-x"),
        404,
        "The model `gpt-x` does not exist or you do not have access to it.",
        None,
        "model_not_found",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "raw", "status", "message", "param", "code"), RULES)
def test_rule(rule: str, raw: bytes, status: int, message: str, param: str | None, code: str | None):
    """
    A request that breaks a rule is refused with the rule's status and, to the byte, its body.
    """
    problem = refused(raw)

    assert (rule, status) == (problem.rule, problem.status)
    assert envelope(message, param, code) == CHAT.problem(problem, "req_1")


def test_whole_body():
    """
    The body of an error, written out.
    """
    expected = (
        b'{"error":{"message":"Invalid parameter: messages with role \'tool\' must be a response to a preceeding '
        b'message with \'tool_calls\'.","type":"invalid_request_error","param":"messages.[1].role","code":null}}'
    )

    assert expected == CHAT.problem(refused(body(user(), result())), "req_1")


def test_near_key():
    """
    An unknown key that is near to known ones is answered with a guess, which is not pinned.
    """
    problem = refused(body(user(), stor=1))

    assert "Unknown parameter: 'stor'. Did you mean 'stop' or 'store'?" == problem.message
    assert not problem.pinned
    assert refused(body(user(), zzz=1)).pinned


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ({"role": "developer"}, "missing_required_parameter", "messages[0].content"),
        ({"role": "developer", "content": None}, "invalid_type", "messages[0].content"),
    ],
)
def test_developer_without_content(message: dict[str, Any], code: str, param: str):
    """
    For the role developer the missing content is told the other way.
    """
    problem = refused(body(message))

    assert ("C6", code, param) == (problem.rule, problem.code, problem.param)


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([user(), asks("a", "b"), result("b"), result("a")], id="results in another order"),
        pytest.param([user(), user(), user()], id="several user messages"),
        pytest.param([user(), said(), said()], id="several answers"),
        pytest.param([said()], id="an assistant message first and last"),
        pytest.param([user(), system(), said(), system()], id="system messages anywhere"),
        pytest.param([user("")], id="an empty text"),
        pytest.param([user([])], id="no parts"),
        pytest.param([user(), said("")], id="an empty answer"),
        pytest.param([user([{"type": "text", "text": "x"}])], id="parts"),
        pytest.param([user([{"type": "image_url", "image_url": {"url": "data:,x"}}])], id="an image"),
        pytest.param([user(), asks("a"), result("a", "")], id="an empty result"),
        pytest.param([user(), {**asks("a"), "content": ...}, result("a")], id="calls without the key content"),
        pytest.param([user(), {**asks("a"), "content": "x"}, result("a")], id="calls with a text"),
        pytest.param([user(), asks("a"), result("a"), asks("a"), result("a")], id="an id again in the next round"),
        pytest.param([{"role": "developer", "content": "x"}, user()], id="developer"),
        pytest.param([user(), {"role": "assistant", "refusal": "no"}], id="a refusal without content"),
        pytest.param(
            [
                user(),
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "1"},
            ],
            id="the old function call",
        ),
        pytest.param(
            [
                user(),
                {**said(None), "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
                result("a"),
            ],
            id="a custom call",
        ),
        pytest.param([{**user(), "name": "ann"}], id="a name"),
    ],
)
def test_legal(messages: list[dict[str, Any]]):
    """
    What the API takes is taken, also where it looks odd.
    """
    spelled = [{key: value for key, value in each.items() if value is not ...} for each in messages]

    received = CHAT.receive(body(*spelled), Seen())

    assert len(messages) == len(received.messages)


@pytest.mark.parametrize("value", [None, 1, "text", [TOOL], {}, True])
@pytest.mark.parametrize("name", [name for name in ORDER if name not in ("max_tokens", "tool_choice")])
def test_fields(name: str, value: Any):
    """
    A field takes null and values of its type; a value of another type is refused by the field's name.
    """
    problem = problem_of(body(user(), **{name: value}))

    if value is None:
        assert problem is None
    if problem is not None:
        assert name == (problem.param or "").partition("[")[0]
        assert not problem.pinned or problem.rule == "C13"


def test_knows_every_parameter_of_the_official_client():
    """
    What the official client can send is no unknown parameter.
    """
    from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming as Plain
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming as Streaming

    sendable = Plain.__required_keys__ | Plain.__optional_keys__ | Streaming.__required_keys__

    assert set() == sendable - {*ORDER, "messages", "model"}
    assert len(sendable) > 30


BROKEN_ORDER = [user(), asks("call_a")]

PRECEDENCE = [
    ("C11", body(zzz=1, model=...)),
    ("C11", b'{"zzz":1}'),
    ("C10", b'{"model":"gpt-x","zzz":1}'),
    ("C12", body(user(7), zzz=1)),
    ("C12", body(user(), model="gpt-x", zzz=1)),
    ("C9", body(tools=[])),
    ("C7", body(user(7), tools=[], temperature=-1)),
    ("C5", body({**said(), "tool_calls": []}, user(7))),
    ("C7", body(user(7), {**said(), "tool_calls": []})),
    ("C8", body({"role": "bogus", "content": 7, "tool_calls": []})),
    ("C13", body(user(), tools=[], temperature=-1)),
    ("field", body(*BROKEN_ORDER, temperature=-1)),
    ("C16", body(asks(LONG), temperature=-1)),
    ("C14", body(*BROKEN_ORDER, tool_choice="auto")),
    ("C15", body(*BROKEN_ORDER, model="gpt-5", max_tokens=1)),
    ("field", body(user(), model="gpt-5", max_tokens=1, temperature=-1)),
    ("C6", body(said(None), result())),
    ("C1", body(result(), asks("call_a"))),
    ("C2", body(asks("call_a"), user(), result())),
    ("C3", body(asks("call_a"), result("call_x"))),
    ("C4", body(asks("call_a", "call_b"), result(), result())),
]


@pytest.mark.parametrize(("rule", "raw"), PRECEDENCE)
def test_precedence(rule: str, raw: bytes):
    """
    Of two faults the one that OpenAI looks at first is reported.
    """
    assert rule == refused(raw).rule


FIELD_ORDER = [
    ("parallel_tool_calls", 1),
    ("max_completion_tokens", 0),
    ("n", 0),
    ("temperature", -1),
    ("top_p", 2),
    ("presence_penalty", 3),
    ("frequency_penalty", 3),
    ("logprobs", "x"),
    ("top_logprobs", -1),
    ("user", 1),
    ("seed", "x"),
    ("safety_identifier", 1),
    ("prompt_cache_key", 1),
    ("prompt_cache_retention", 1),
    ("service_tier", 1),
    ("stream", "x"),
    ("store", "x"),
    ("metadata", 1),
    ("verbosity", 1),
]


@pytest.mark.parametrize("number", range(len(FIELD_ORDER) - 1))
def test_order_of_fields(number: int):
    """
    Of two faulty fields the earlier one is reported, wherever they stand in the body.
    """
    (first, wrong), (second, also_wrong) = FIELD_ORDER[number : number + 2]

    assert first == refused(body(user(), **{second: also_wrong, first: wrong})).param


@pytest.mark.parametrize(
    ("temperature", "message", "code"),
    [
        (
            -1,
            "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 instead.",
            "decimal_below_min_value",
        ),
        (
            2.5,
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
            "decimal_above_max_value",
        ),
        ("x", "Invalid type for 'temperature': expected a decimal, but got a string instead.", "invalid_type"),
        (True, "Invalid type for 'temperature': expected a decimal, but got a boolean instead.", "invalid_type"),
    ],
)
def test_bounds(temperature: Any, message: str, code: str):
    """
    A number out of its bounds is refused with the bound.
    """
    problem = refused(body(user(), temperature=temperature))

    assert (message, "temperature", code) == (problem.message, problem.param, problem.code)


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (7, "messages[0]"),
        ({"content": "x"}, "messages[0].role"),
        (user([7]), "messages[0].content[0]"),
        (user([{"text": "x"}]), "messages[0].content[0].type"),
        (user([{"type": "texts"}]), "messages[0].content[0]"),
        (user([{"type": "text"}]), "messages[0].content[0].text"),
        ({**said(), "tool_calls": [7]}, "messages[0].tool_calls[0]"),
        ({**said(), "tool_calls": 7}, "messages[0].tool_calls"),
        ({**said(), "tool_calls": [{}]}, "messages[0].tool_calls[0].id"),
        ({**said(), "tool_calls": [{"id": "a"}]}, "messages[0].tool_calls[0].type"),
        ({**said(), "tool_calls": [{"id": "a", "type": "x"}]}, "messages[0].tool_calls[0].type"),
        ({**said(), "tool_calls": [{"id": "a", "type": "function"}]}, "messages[0].tool_calls[0].function"),
        (
            {**said(), "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f"}}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            {**said(), "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": {}}}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({**result(), "tool_call_id": 7}, "messages[0].tool_call_id"),
        ({**user(), "name": 7}, "messages[0].name"),
    ],
)
def test_misspelled(message: Any, param: str):
    """
    A message that is no message is refused by the place of the fault, in words that are not pinned.
    """
    problem = refused(body(message))

    assert (400, param, False) == (problem.status, problem.param, problem.pinned)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'{"messages":[}',
        b'{"model":"\xff","messages":[]}',
        body(user()).replace(b"hi", b"\xff"),
        b'{"model":' + b"[" * 100_000,
    ],
)
def test_no_json(raw: bytes):
    """
    A body that is no JSON object is refused, and not with an error of ours.
    """
    assert (400, "JSON") == (refused(raw).status, refused(raw).rule)


def test_too_many_tokens():
    """
    A prompt over the window is refused with both figures; with tools theirs is told apart.
    """
    small = OpenAIChat(window=10, count=len)

    plain = refused(body(user("x" * 20)), small)
    with_tools = refused(body(user("x" * 20), tools=[TOOL]), small)

    limit = "This model's maximum context length is 10 tokens. However, your messages resulted in "
    assert limit + "24 tokens. Please reduce the length of the messages." == plain.message
    assert ("C18", "messages", "context_length_exceeded") == (plain.rule, plain.param, plain.code)
    size = len(json.dumps(TOOL, separators=(",", ":"))) + 2
    told = f"{24 + size} tokens (24 in the messages, {size} in the functions). "
    assert limit + told + "Please reduce the length of the messages or functions." == with_tools.message
    assert 1 == len(small.receive(body(user("x" * 6)), Seen()).messages)


# -- what is read --------------------------------------------------------------------------------------------------


def test_read():
    """
    What a request says is read into looprig's words: developer is system, parts are joined, null is the empty text.
    """
    read = CHAT.receive(
        body(
            {"role": "developer", "content": "Be brief."},
            {**user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "name": "ann"},
            asks("a"),
            result("a", [{"type": "text", "text": "found"}]),
            stream=True,
        ),
        Seen(),
    )

    expected = [
        Message("system", "Be brief."),
        Message("user", "ab", name="ann"),
        Message("assistant", "", (ToolCall("a", "search", "{}"),)),
        Message("tool", "found", tool_call_id="a"),
    ]
    assert expected == read.messages
    assert ("gpt-4o", True) == (read.model, read.stream)
    assert {"model": "gpt-4o", "stream": True} == read.fields


@given(histories())
def test_whole_groups_are_accepted(history: list[dict[str, Any]]):
    """
    A history of whole groups is accepted, whatever stands between them, in both forms.
    """
    received = CHAT.receive(body(*history), Seen())

    assert len(history) == len(received.messages)
    assert CHAT.judge(received.messages, 0, Seen()) is None


@given(histories(), st.data())
def test_one_message_less(history: list[dict[str, Any]], data: st.DataObject):
    """
    Without one call, or one result, the history is refused, by the rule that says so.
    """
    matters = [n for n, each in enumerate(history) if each["role"] == "tool" or each.get("tool_calls")]
    if not matters:
        return
    gone = data.draw(st.sampled_from(matters))
    rest = history[:gone] + history[gone + 1 :]

    expected = {"C2"} if history[gone]["role"] == "tool" else {"C1", "C3"}
    assert refused(body(*rest)).rule in expected
    read = [CHAT.receive(body(*history), Seen()).messages[n] for n in range(len(history)) if n != gone]
    judged = CHAT.judge(read, 0, Seen())
    assert judged is not None
    assert judged.rule in expected


@given(histories(), st.data())
def test_one_call_less(history: list[dict[str, Any]], data: st.DataObject):
    """
    Without one of several calls of a message its result is refused, since no call has its id.
    """
    wide = [n for n, each in enumerate(history) if len(each.get("tool_calls", ())) > 1]
    if not wide:
        return
    at = data.draw(st.sampled_from(wide))
    gone = data.draw(st.integers(0, len(history[at]["tool_calls"]) - 1))
    calls = [each for n, each in enumerate(history[at]["tool_calls"]) if n != gone]
    rest = [*history[:at], {**history[at], "tool_calls": calls}, *history[at + 1 :]]

    problem = refused(body(*rest))

    assert "C3" == problem.rule
    assert history[at]["tool_calls"][gone]["id"] in problem.message


@given(histories(), histories(), st.booleans())
def test_grown_request(old: list[dict[str, Any]], new: list[dict[str, Any]], stray: bool):
    """
    A request that goes on from the one before is judged and read as if it were the first.
    """
    grown = old + new + ([result("call_0_0")] if stray else [])
    seen, fresh = Seen(), Seen()
    CHAT.receive(body(*old), seen)

    assert _outcome(grown, fresh) == _outcome(grown, seen)


def _outcome(history: list[dict[str, Any]], seen: Seen) -> Any:
    try:
        messages = CHAT.receive(body(*history), seen).messages
    except Refused as error:
        return error.problem
    assert messages == seen.messages
    return messages, seen.state, seen.open, seen.begins


def test_refused_request_is_not_remembered():
    """
    After a request that was refused, the one before is what the next goes on from.
    """
    seen = Seen()
    CHAT.receive(body(user(), asks("a"), result("a")), seen)
    before = (seen.open, seen.messages, seen.state)

    with pytest.raises(Refused):
        CHAT.receive(body(user(), asks("a"), result("a"), result("a")), seen)

    assert before == (seen.open, seen.messages, seen.state)
    assert 4 == len(CHAT.receive(body(user(), asks("a"), result("a"), user()), seen).messages)


@given(histories(), histories())
def test_judged_in_steps(old: list[dict[str, Any]], new: list[dict[str, Any]]):
    """
    Judged in two steps, a conversation is judged as in one.
    """
    messages = CHAT.receive(body(*old, *new), Seen()).messages
    broken = [*messages, Message("tool", "x", tool_call_id="call_0_0")]
    seen = Seen()
    assert CHAT.judge(messages[: len(old)], 0, seen) is None

    assert CHAT.judge(messages, len(old), seen) is None
    assert CHAT.judge(broken, 0, Seen()) == CHAT.judge(broken, len(messages), seen)


def test_judged_in_process():
    """
    What is asked in process: an empty request, ids that are too long, calls and results.
    """
    long = Message("assistant", "", (ToolCall(LONG, "search"),))

    assert "C9" == judged([])
    assert "C16" == judged([long])
    assert "C16" == judged([Message("tool", "x", tool_call_id=LONG)])
    assert "C1" == judged([Message("tool", "x", tool_call_id="a")])


def judged(messages: list[Message]) -> str | None:
    problem = CHAT.judge(messages, 0, Seen())
    return problem.rule if problem else None


# -- faults and headers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "figures", "status", "body"),
    [
        (
            "bad_key",
            {},
            401,
            envelope(
                "Incorrect API key provided: sk-false. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
                None,
                "invalid_api_key",
            ),
        ),
        (
            "rate_limit",
            {"limit": 200_000, "used": 162_960, "requested": 42_288, "retry_s": 1.574, "model": "o4-mini"},
            429,
            envelope(
                "Rate limit reached for o4-mini in organization org-looprig on tokens per min (TPM): Limit 200000, "
                "Used 162960, Requested 42288. Please try again in 1.574s. "
                "Visit https://platform.openai.com/account/rate-limits to learn more.",
                None,
                "rate_limit_exceeded",
                "tokens",
            ),
        ),
        (
            "quota",
            {},
            429,
            envelope(
                "You exceeded your current quota, please check your plan and billing details. For more information "
                "on this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
                None,
                "insufficient_quota",
                "insufficient_quota",
            ),
        ),
        (
            "server_error",
            {},
            500,
            envelope(
                "The server had an error while processing your request. Sorry about that!", None, None, "server_error"
            ),
        ),
        (
            "context_overflow",
            {"window": 128_000, "tokens": 202_767, "functions": 101},
            400,
            envelope(
                "This model's maximum context length is 128000 tokens. However, your messages resulted in 202868 "
                "tokens (202767 in the messages, 101 in the functions). Please reduce the length of the messages or "
                "functions.",
                "messages",
                "context_length_exceeded",
            ),
        ),
        (
            "context_overflow",
            {"window": 8192, "tokens": 8227},
            400,
            envelope(
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 8227 tokens. "
                "Please reduce the length of the messages.",
                "messages",
                "context_length_exceeded",
            ),
        ),
    ],
)
def test_fault(kind: str, figures: dict[str, Any], status: int, body: bytes):
    """
    A fault that is none of the request has OpenAI's status and body (C18 to C22).
    """
    problem = CHAT.fault(kind, **figures)

    assert status == problem.status
    assert body == CHAT.problem(problem, "req_1")


@pytest.mark.parametrize(
    "kind", ["bad_request", "not_found", "overloaded", "too_large", "timeout", "quota", "server_error"]
)
def test_every_fault(kind: str):
    """
    Each kind of fault is there, with the status that its name says.
    """
    status = {"bad_request": 400, "not_found": 404, "overloaded": 503, "too_large": 413, "timeout": 504, "quota": 429}

    assert status.get(kind, 500) == CHAT.fault(kind).status


def test_unknown_fault():
    """
    A fault that there is not is named, with those that there are.
    """
    with pytest.raises(ValueError, match=r"there is no fault 'nothing'; known are bad_key, .*timeout"):
        CHAT.fault("nothing")


def test_headers():
    """
    Every response tells its id, the version and the time it took; limits are told with times as Go prints them.
    """
    limits = CHAT.limit_headers({"requests": (500, 499, 0.12), "tokens": (30_000, 29_000, 0)})

    assert {"x-request-id": "req_1", "openai-version": "2020-10-01", "openai-processing-ms": "0"} == CHAT.headers(
        "req_1"
    )
    assert {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-limit-tokens": "30000",
        "x-ratelimit-remaining-tokens": "29000",
        "x-ratelimit-reset-tokens": "0s",
    } == limits


def test_when_to_try_again():
    """
    A rate limit tells in its headers when to try again, in seconds and in milliseconds.
    """
    problem = CHAT.fault("rate_limit", limit=3, used=3, requested=1, retry_s=0.3, of="requests")

    assert {"retry-after": "1", "retry-after-ms": "300"} == problem.headers
    assert ("requests", True) == (problem.type, "on requests per min (RPM)" in problem.message)


def test_call_is_spelled_as_the_client_spells_it():
    """
    The helpers of these tests spell a call as `ToolCall.to_dict` does.
    """
    assert ToolCall("call_a", "search").to_dict() == msgspec.to_builtins(call())
