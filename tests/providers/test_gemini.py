"""Gemini's rules: each with the exact body, what is legal, and in which order faults are reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from looprig.messages import Message, ToolCall
from looprig.providers.base import Problem, Received, Refused, Seen
from looprig.providers.gemini import Gemini

PROVIDER = Gemini()
FLASH, THREE = "gemini-2.5-flash", "gemini-3-pro-preview"

Part = dict[str, Any]


def user(*parts: Part | str) -> dict[str, Any]:
    return {"role": "user", "parts": [{"text": part} if isinstance(part, str) else part for part in parts or ("hi",)]}


def model(*parts: Part | str) -> dict[str, Any]:
    return {**user(*parts), "role": "model"}


def call(name: str = "read", sign: str | None = None, **more: Any) -> Part:
    return {"functionCall": {"name": name, "args": {}, **more}, **({"thoughtSignature": sign} if sign else {})}


def response(name: str = "read", value: Any = "done", **more: Any) -> Part:
    return {"functionResponse": {"name": name, "response": {"result": value}, **more}}


def request(contents: Any, **more: Any) -> bytes:
    return msgspec.json.encode({**({} if contents is None else {"contents": contents}), **more})


def refused(raw: bytes, name: str = FLASH, provider: Gemini = PROVIDER) -> Problem:
    with pytest.raises(Refused) as caught:
        provider.receive(raw, Seen(), name)
    return caught.value.problem


def accepted(contents: Sequence[Any], name: str = FLASH, **more: Any) -> Received:
    return PROVIDER.receive(request(list(contents), **more), Seen(), name)


AFTER_USER = (
    "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
)
AFTER_CALL = "Please ensure that function response turn comes immediately after a function call turn."
AS_MANY = (
    "Please ensure that the number of function response parts is equal to the number of function call parts "
    "of the function call turn."
)
UNSIGNED = (
    "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, "
    "and missing thought_signature may lead to degraded model performance. Additional data, function call "
    "`default_api:{}` , position {}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures "
    "for more details."
)
EMPTY_NAME = "* GenerateContentRequest.contents[2].parts[0].function_response.name: Name cannot be empty."
ENDS = "Please ensure that multiturn requests ends with a user role or a function response."

# rule, model, contents, the exact message, whether it is pinned
ROWS: list[tuple[str, str, Any, str, bool]] = [
    ("G1", FLASH, [model(call()), user(response())], AFTER_USER, True),
    ("G1", FLASH, [user(), model("so"), model(call()), user(response())], AFTER_USER, True),
    ("G1", FLASH, [user(), model(call()), model(call()), user(response())], AFTER_USER, True),
    ("G2", FLASH, [user(response())], AFTER_CALL, True),
    ("G2", FLASH, [user(), model(call()), user(response()), user(response())], AFTER_CALL, True),
    ("G2", FLASH, [user(), model("so"), user(response())], AFTER_CALL, True),
    ("G3", FLASH, [user(), model(call(), call()), user(response())], AS_MANY, True),
    ("G3", FLASH, [user(), model(call()), user(response(), response())], AS_MANY, True),
    ("G3", FLASH, [user(), model(call()), user("and?")], AS_MANY, False),
    ("G3", FLASH, [user(), model(call()), model("so"), user()], AS_MANY, False),
    ("G4", THREE, [user(), model(call()), user(response())], UNSIGNED.format("read", 2), True),
    (
        "G4",
        THREE,
        [user(), model(call(sign="x")), user(response()), model("so", call("write")), user(response("write"))],
        UNSIGNED.format("write", 4),
        True,
    ),
    ("G4", THREE, [user(), model(call(), call(sign="x")), user(*[response()] * 2)], UNSIGNED.format("read", 2), True),
    ("G5", FLASH, [user(), model("so")], ENDS, False),
    ("G5", FLASH, [user(), model(call())], ENDS, False),
    ("G6", FLASH, [user(), model(call()), user(response(""))], EMPTY_NAME, True),
    ("G6", FLASH, [user(), model(call("")), user(response())],
     "* GenerateContentRequest.contents[1].parts[0].function_call.name: Name cannot be empty.", False),
    ("G7", FLASH, [], "* GenerateContentRequest.contents: contents is not specified", True),
    ("G7", FLASH, None, "* GenerateContentRequest.contents: contents is not specified", True),
    ("G7", FLASH, [{"role": "user", "parts": []}],
     "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.", True),
    ("G7", FLASH, [user(), {"role": "user"}],
     "* GenerateContentRequest.contents[1].parts: contents.parts must not be empty.", True),
    # Refusals that stand in no row: their words are from memory.
    ("G0", FLASH, [{**user(), "role": "assistant"}], "Please use a valid role: user, model.", False),
    ("G0", FLASH, [user(), {"role": "user", "parts": 5}],
     "Invalid value at 'contents[1].parts': Expected `array | null`, got `int`", False),
    ("G0", FLASH, 5, "Invalid value at 'contents': Expected `array`, got `int`", False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "name", "contents", "message", "pinned"),
    ROWS,
    ids=[f"{row[0]}-{number}" for number, row in enumerate(ROWS)],
)
def test_row(rule: str, name: str, contents: Any, message: str, pinned: bool):
    """
    Each rule's request is refused with the body that the provider sends, byte for byte.
    """
    problem = refused(request(contents), name)

    error = {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
    assert msgspec.json.encode(error).decode() == PROVIDER.problem(problem, "1").decode()
    assert (rule, 400, pinned) == (problem.rule, problem.status, problem.pinned)


LEGAL: dict[str, tuple[str, list[Any]]] = {
    "a round": (FLASH, [user(), model(call()), user(response())]),
    "text beside a call": (FLASH, [user(), model("I look", call()), user(response())]),
    "parallel calls, in any order": (FLASH, [user(), model(call("a"), call("b")), user(response("b"), response("a"))]),
    "the role function": (FLASH, [user(), model(call()), {**user(response()), "role": "function"}]),
    "no role": (FLASH, [{"parts": [{"text": "hi"}]}]),
    "text behind responses": (FLASH, [user(), model(call()), user(response(), "and?")]),
    "users in a row": (FLASH, [user(), user()]),
    "models in a row": (FLASH, [user(), model("a"), model("b"), user()]),
    "a model first": (FLASH, [model("hello"), user()]),
    "signed": (THREE, [user(), model(call(sign="x"), call()), user(response(), response())]),
    "unsigned in a turn that is over": (THREE, [user(), model(call()), user(response()), model("so"), user()]),
    "an image": (FLASH, [user({"inlineData": {"mimeType": "image/png", "data": ""}})]),
    "one content that is no list": (FLASH, user()),  # type: ignore[dict-item]
    "one part that is no list": (FLASH, [{"role": "user", "parts": {"text": "hi"}}]),
}


@pytest.mark.parametrize("what", LEGAL)
def test_legal(what: str):
    """
    What the provider takes, however odd, is taken.
    """
    name, contents = LEGAL[what]

    assert PROVIDER.receive(request(contents), Seen(), name).messages


SNAKE = [
    user("look"),
    {
        "role": "model",
        "parts": [{"function_call": {"id": "c1", "name": "read", "args": {"n": 1}}, "thought_signature": "x"}],
    },
    {"role": "user", "parts": [{"function_response": {"id": "c1", "name": "read", "response": {"result": "found"}}}]},
]


def test_spelling():
    """
    Keys with underscores are the same keys.
    """
    received = accepted(SNAKE, THREE, system_instruction={"parts": [{"text": "be kind"}]}, generation_config={})

    assert received.messages == [
        Message("system", "be kind"),
        Message("user", "look"),
        Message("assistant", "", (ToolCall("c1", "read", '{"n": 1}'),)),
        Message("tool", "found", (), "c1"),
    ]
    broken = [*SNAKE[:2], user(response(), response())]
    assert "G3" == refused(request(broken), THREE).rule


BOTH: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("G0", "gemini-x", [], {"zzz": 1}),
    ("G0", FLASH, [], {"zzz": 1}),
    ("G6", FLASH, [model(call()), user(response(""))], {}),
    ("G7", FLASH, [model(call()), user(response("x")), {"role": "user"}], {}),
    ("G1", THREE, [model(call()), user(response(), response())], {}),
]


@pytest.mark.parametrize(
    ("rule", "name", "contents", "more"), BOTH, ids=[f"{row[0]}-{n}" for n, row in enumerate(BOTH)]
)
def test_precedence(rule: str, name: str, contents: Any, more: dict[str, Any]):
    """
    Of two faults the one is reported that stands in a field; the conversation's shape comes behind.
    """
    assert rule == refused(request(contents, **more), name).rule


def test_no_json():
    """
    A body that is no JSON object is refused, and so is nothing.
    """
    for raw in (b"", b"[", b"[]", b'{"contents": "\xff"}'):
        assert (400, "INVALID_ARGUMENT") == ((problem := refused(raw)).status, problem.type)


def test_unknown():
    """
    A model that there is not is a 404; a key that there is not is named.
    """
    assert (404, "NOT_FOUND") == ((problem := refused(request([user()]), "gemini-x")).status, problem.type)
    assert (
        'Invalid JSON payload received. Unknown name "messages": Cannot find field.'
        == refused(request([user()], messages=[])).message
    )


def test_window():
    """
    G8: a prompt over the window is told its size and the window's.
    """
    problem = refused(request([user("word " * 4000)]), FLASH, Gemini(window=2000))

    assert "G8" == problem.rule
    assert "The input token count (5004) exceeds the maximum number of tokens allowed (2000)." == problem.message


STATUSES = {
    "bad_request": (400, "INVALID_ARGUMENT"),
    "bad_key": (400, "INVALID_ARGUMENT"),
    "not_found": (404, "NOT_FOUND"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "quota": (429, "RESOURCE_EXHAUSTED"),
    "server_error": (500, "INTERNAL"),
    "overloaded": (503, "UNAVAILABLE"),
    "timeout": (504, "DEADLINE_EXCEEDED"),
    "too_large": (400, "INVALID_ARGUMENT"),
}


@pytest.mark.parametrize("kind", STATUSES)
def test_fault(kind: str):
    """
    What is no fault of the request has its documented status; the texts are not recorded, and say so.
    """
    problem = PROVIDER.fault(kind, limit=1, model="gemini-x")

    assert (*STATUSES[kind], False) == (problem.status, problem.type, problem.pinned)
    assert STATUSES[kind][0] == msgspec.json.decode(PROVIDER.problem(problem, "1"))["error"]["code"]


def test_unknown_fault():
    """
    A fault that there is not is an error of the caller's, with the names of those that there are.
    """
    with pytest.raises(ValueError, match=r"no fault 'x'; known are bad_key, .*too_large"):
        PROVIDER.fault("x")


def test_pairs_without_ids():
    """
    Where calls have no ids they get some, and a response belongs to the first call of its name that has none yet.
    """
    contents = [
        user(),
        model(call("a"), call("b"), call("a")),
        user(response("b", "1"), response("a", "2"), response("a", "3"), "and?"),
        model(call("b", id="own")),
        user(response("b", {"x": 1}, id="own")),
    ]
    whole = accepted(contents).messages

    assert ("call_1_0", "call_1_1", "call_1_2") == tuple(each.id for each in whole[1].tool_calls)
    answered = [(message.tool_call_id, message.content) for message in whole if message.role == "tool"]
    assert [("call_1_1", "1"), ("call_1_0", "2"), ("call_1_2", "3"), ("own", '{"result": {"x": 1}}')] == answered
    seen = Seen()
    for size in (1, 3, 5):
        assert whole[: [1, 6, 8][size // 2]] == PROVIDER.receive(request(contents[:size]), seen, FLASH).messages


def test_thoughts_are_not_said():
    """
    Thoughts that come back are no part of what was said.
    """
    contents = [user(), model({"text": "hm", "thought": True}, "so"), user()]

    assert ["hi", "so", "hi"] == [message.content for message in accepted(contents).messages]
