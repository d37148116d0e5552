"""Anthropic's rules: each with the exact body, what is legal, and in which order faults are reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from looprig.messages import Message, ToolCall
from looprig.providers.anthropic import Anthropic
from looprig.providers.anthropic_rules import signature
from looprig.providers.base import Problem, Received, Refused, Seen

PROVIDER = Anthropic()
NEW, OLD = "claude-sonnet-5", "claude-sonnet-4-5-20250929"

Entry = dict[str, Any]


def user(content: Any = "hi") -> Entry:
    return {"role": "user", "content": content}


def assistant(*content: Any) -> Entry:
    return {"role": "assistant", "content": content[0] if content and isinstance(content[0], str) else list(content)}


def text(words: str = "so") -> Entry:
    return {"type": "text", "text": words}


def use(id_: str = "toolu_a", **more: Any) -> Entry:
    return {"type": "tool_use", "id": id_, "name": "read", "input": {}, **more}


def result(id_: str = "toolu_a", content: Any = "done") -> Entry:
    return {"type": "tool_result", "tool_use_id": id_, "content": content}


def thought(words: str = "hm", sign: str | None = None) -> Entry:
    return {"type": "thinking", "thinking": words, "signature": signature(words) if sign is None else sign}


def request(messages: Any, **more: Any) -> bytes:
    fields = {"model": NEW, "max_tokens": 100, "messages": messages, **more}
    return msgspec.json.encode({key: value for key, value in fields.items() if value is not msgspec.UNSET})


def refused(raw: bytes, provider: Anthropic = PROVIDER, seen: Seen | None = None) -> Problem:
    with pytest.raises(Refused) as caught:
        provider.receive(raw, Seen() if seen is None else seen)
    return caught.value.problem


def accepted(messages: Sequence[Entry], **more: Any) -> Received:
    return PROVIDER.receive(request(list(messages), **more), Seen())


THINKING = {"thinking": {"type": "enabled", "budget_tokens": 1024}}
UNMATCHED = (
    "`tool_use` ids were found without `tool_result` blocks immediately after: {}. "
    "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
)
UNEXPECTED = (
    "unexpected `tool_use_id` found in `tool_result` blocks: {}. "
    "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
)

# rule, messages, what else is in the request, the exact message, whether it is pinned
ROWS: list[tuple[str, Any, dict[str, Any], str, bool]] = [
    (
        "A1",
        [user(), assistant(use("toolu_a"), use("toolu_b")), user("and?")],
        {},
        "messages.1: " + UNMATCHED.format("toolu_a, toolu_b"),
        False,
    ),
    ("A1", [user(), assistant(use())], {}, "messages.1: " + UNMATCHED.format("toolu_a"), False),
    (
        "A1",
        [user(), assistant(use("toolu_a"), use("toolu_b")), user([result("toolu_b")]), assistant("so"), user()],
        {},
        "messages.1: " + UNMATCHED.format("toolu_a"),
        False,
    ),
    ("A2", [user([result("toolu_X")])], {}, "messages.0.content.0: " + UNEXPECTED.format("toolu_X"), True),
    (
        "A2",
        [user(), assistant(use()), user([result()]), assistant("so"), user([text(), result()])],
        {},
        "messages.4.content.1: " + UNEXPECTED.format("toolu_a"),
        True,
    ),
    (
        "A3",
        [user(), assistant(use()), user([text(), result()])],
        {},
        "messages.1: " + UNMATCHED.format("toolu_a"),
        False,
    ),
    (
        "A3",
        [user(), assistant(use()), user("x"), user([result()])],
        {},
        "messages.1: " + UNMATCHED.format("toolu_a"),
        False,
    ),
    (
        "A4",
        [user(), assistant(use()), user([result()]), user([result()])],
        {},
        "messages.2.content.1: each tool_use must have a single result. "
        "Found multiple `tool_result` blocks with id: toolu_a",
        True,
    ),
    ("A5", [user(), assistant(use(), use()), user()], {}, "messages.1.content.1: `tool_use` ids must be unique", True),
    (
        "A5",
        [user(), assistant(use()), user([result()]), assistant(text(), use()), user([result()])],
        {},
        "messages.3.content.1: `tool_use` ids must be unique",
        True,
    ),
    (
        "A6",
        [user(), assistant(use("a:b")), user([result("a:b")])],
        {},
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        True,
    ),
    (
        "A6",
        [user(), assistant(use("")), user()],
        {},
        "messages.1.content.0.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'",
        True,
    ),
    ("A7", [assistant("hi"), user()], {"model": OLD}, 'messages: first message must use the "user" role', True),
    ("A7", [assistant("hi"), user()], {"model": NEW}, 'messages: first message must use the "user" role', False),
    (
        "A9",
        [{"role": "system", "content": "be kind"}, user()],
        {"model": OLD},
        'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, '
        'not "system" as an input message role.',
        True,
    ),
    (
        "A9",
        [{"role": "system", "content": "be kind"}, user()],
        {},
        "messages.0: use the top-level 'system' parameter for the initial system prompt; the directive-only form "
        "(content: [] with output_config) is accepted at any position",
        True,
    ),
    (
        "A10",
        [user(), {"role": "system", "content": "be kind"}, user()],
        {},
        "messages.1: role 'system' must precede an 'assistant' message or end the array; ...",
        False,
    ),
    (
        "A11",
        [{"role": "developer", "content": "be kind"}, user()],
        {},
        'messages: Unexpected role "developer". Allowed roles are "user" or "assistant"',
        True,
    ),
    ("A12", [user("")], {}, "messages.0: user messages must have non-empty content", True),
    (
        "A12",
        [user([]), user(""), assistant("a"), user()],
        {},
        "messages.0: user messages must have non-empty content",
        True,
    ),
    (
        "A13",
        [user(), assistant("a"), user(), assistant("b"), user(), assistant(""), user()],
        {},
        "messages.5: all messages must have non-empty content except for the optional final assistant message",
        True,
    ),
    ("A14", [user([text("")])], {}, "messages: text content blocks must be non-empty", True),
    ("A14", [user([text(" \n")])], {}, "messages: text content blocks must contain non-whitespace text", True),
    ("A14", [user("  ")], {}, "messages: text content blocks must contain non-whitespace text", True),
    (
        "A15",
        [user(), assistant("the answer is ")],
        {"model": OLD},
        "messages: final assistant content cannot end with trailing whitespace",
        True,
    ),
    (
        "A16",
        [user(), assistant("the answer is")],
        {},
        "This model does not support assistant message prefill. The conversation must end with a user message.",
        True,
    ),
    ("A17", [], {}, "messages: at least one message is required", True),
    ("A17", msgspec.UNSET, {}, "messages: Field required", True),
    ("A18", [user()], {"max_tokens": msgspec.UNSET}, "max_tokens: Field required", True),
    ("A19", [user()], {"zzz": 1}, "zzz: Extra inputs are not permitted", True),
    ("A19", [{**user(), "zzz": 1}], {}, "messages.0.zzz: Extra inputs are not permitted", True),
    (
        "A19",
        [user(), assistant(text(), use(zzz=1))],
        {},
        "messages.1.content.1.tool_use.zzz: Extra inputs are not permitted",
        True,
    ),
    (
        "A20",
        [user()],
        {"tools": [{"name": "read it", "input_schema": {"type": "object"}}]},
        "tools.0.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'",
        True,
    ),
    ("A21", [user()], {"tool_choice": {"type": "tool", "name": "X"}}, "Tool 'X' not found in provided tools", True),
    (
        "A22",
        [user(), assistant(text(), use()), user([result()])],
        {**THINKING, "model": OLD},
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `text`. When `thinking` is "
        "enabled, a final `assistant` message must start with a thinking block (preceeding the lastmost set of "
        "`tool_use` and `tool_result` blocks). We recommend you include thinking blocks from previous turns. To avoid "
        "this requirement, disable `thinking`. Please consult our documentation at "
        "https://docs.claude.com/en/docs/build-with-claude/extended-thinking",
        True,
    ),
    (
        "A23",
        [user(), assistant("a"), user(), assistant(thought("hm", signature("ah")), use()), user([result()])],
        {**THINKING, "model": OLD},
        "messages.3.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be "
        "modified. These blocks must remain as they were in the original response.",
        True,
    ),
    (
        "A24",
        [user(), assistant(thought()), user()],
        {},
        "messages.1: The final block in an assistant message cannot be `thinking`.",
        True,
    ),
    ("A27", [user()], {"model": "claude-x"}, "model: claude-x", True),
    # Faults of fields that stand in no row: their words are pydantic's.
    ("A0", [user()], {"model": msgspec.UNSET}, "model: Field required", False),
    ("A0", 5, {}, "messages: Input should be a valid list", False),
    ("A0", [5], {}, "messages.0: Input should be a valid dictionary", False),
    ("A0", [user(), {"role": "user"}], {}, "messages.1.content: Field required", False),
    ("A0", [user(None)], {}, "messages.0.content: Input should be a valid list", False),
    ("A0", [user([text(4)])], {}, "messages.0.content.0.text.text: Input should be a valid string", False),  # type: ignore[arg-type]
    ("A0", [user([use()])], {}, "messages.0.content.0: `tool_use` blocks can only be in `assistant` messages", False),
    (
        "A0",
        [user(), assistant(result())],
        {},
        "messages.1.content.0: `tool_result` blocks can only be in `user` messages",
        False,
    ),
]


@pytest.mark.parametrize(
    ("rule", "messages", "more", "message", "pinned"),
    ROWS,
    ids=[f"{row[0]}-{number}" for number, row in enumerate(ROWS)],
)
def test_row(rule: str, messages: Any, more: dict[str, Any], message: str, pinned: bool):
    """
    Each rule's request is refused with its status and type, and the body that the provider sends, byte for byte.
    """
    problem = refused(request(messages, **more))

    status, kind = (404, "not_found_error") if rule == "A27" else (400, "invalid_request_error")
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    assert msgspec.json.encode(error).decode() == PROVIDER.problem(problem, "1").decode()
    assert (rule, status) == (problem.rule, problem.status)
    assert pinned == problem.pinned
    assert (status == 400) == (problem.headers.get("x-should-retry") == "false")


LEGAL: dict[str, tuple[list[Entry], dict[str, Any]]] = {
    "A8, one role in a row": ([user("a"), user("b"), assistant("c"), assistant("d"), user("e")], {}),
    "results in any order": ([user(), assistant(use("a"), use("b")), user([result("b"), result("a")])], {}),
    "results in entries of their own": (
        [user(), assistant(use("a"), use("b")), user([result("b")]), user([result("a")])],
        {},
    ),
    "calls in entries of their own": (
        [user(), assistant(use("a")), assistant(use("b")), user([result("a"), result("b")])],
        {},
    ),
    "results, then text": ([user(), assistant(use()), user([result(), text()])], {}),
    "results, then an entry of text": ([user(), assistant(use()), user([result()]), user("and?")], {}),
    "a result without content": (
        [user(), assistant(use()), user([{"type": "tool_result", "tool_use_id": "toolu_a"}])],
        {},
    ),
    "an empty user entry beside a full one": ([user(""), user("a")], {}),
    "an empty assistant entry beside a full one": ([user(), assistant(""), assistant("a"), user()], {}),
    "an empty last assistant turn": ([user(), assistant("")], {"model": OLD}),
    "prefill": ([user(), assistant("the answer is")], {"model": OLD}),
    "A10, a system entry before an assistant": (
        [user(), {"role": "system", "content": "x"}, assistant("a"), user()],
        {},
    ),
    "A10, system entries at the end": ([user(), *[{"role": "system", "content": "x"}] * 2], {}),
    "a directive": (
        [
            {"role": "system", "content": [], "output_config": {}},
            user(),
            {"role": "system", "content": [], "output_config": {}},
            user(),
        ],
        {},
    ),
    "the same id in a later request": ([user(), assistant(use("a")), user([result("a")]), assistant("a"), user()], {}),
    "thinking, and the chain begins so": (
        [user(), assistant(thought(), use("a")), user([result("a")]), assistant(use("b")), user([result("b")])],
        {**THINKING, "model": OLD},
    ),
    "thinking, and the chain is over": (
        [user(), assistant(use("a")), user([result("a")]), assistant("a"), user()],
        {**THINKING, "model": OLD},
    ),
    "a signature of another server": ([user(), assistant(thought("x", "EqQB"), text()), user()], THINKING),
    "older thoughts may be changed": (
        [user(), assistant(thought("x", signature("y")), text()), user(), assistant(thought(), text()), user()],
        THINKING,
    ),
    "adaptive thinking": ([user(), assistant(use()), user([result()])], {"thinking": {"type": "adaptive"}}),
    "an image": ([user([{"type": "image", "source": {"type": "url", "url": "https://x"}}])], {}),
    "A20, a server tool": ([user()], {"tools": [{"type": "web_search_20250305", "name": "web search"}]}),
}


@pytest.mark.parametrize("what", LEGAL)
def test_legal(what: str):
    """
    What the provider takes, however odd, is taken.
    """
    messages, more = LEGAL[what]

    assert accepted(messages, **more).messages


BOTH: list[tuple[str, Any, dict[str, Any]]] = [
    ("A27", [assistant("a")], {"model": "claude-x", "tool_choice": {"type": "tool", "name": "X"}}),
    ("A21", [user()], {"tool_choice": {"type": "tool", "name": "X"}, "tools": [{"name": "a b"}]}),
    ("A20", [5], {"tools": [{"name": "a b"}]}),
    ("A11", [{"role": "developer", "content": "x"}], {"max_tokens": msgspec.UNSET}),
    ("A18", [user()], {"max_tokens": msgspec.UNSET, "zzz": 1}),
    ("A18", [{**user(), "zzz": 1}], {"max_tokens": msgspec.UNSET}),
    ("A19", [], {"zzz": 1}),
    ("A19", [{**user(""), "zzz": 1}], {}),
    ("A19", [assistant("a"), {**user(""), "zzz": 1}], {}),
]


@pytest.mark.parametrize(("rule", "messages", "more"), BOTH, ids=[f"{row[0]}-{n}" for n, row in enumerate(BOTH)])
def test_precedence(rule: str, messages: Any, more: dict[str, Any]):
    """
    Of two faults the one is reported that the provider looks at first: fields, unknown keys, the conversation's shape.
    """
    assert rule == refused(request(messages, **more)).rule


def test_no_json():
    """
    A body that is no JSON object is refused, and so is nothing.
    """
    for raw in (b"", b"[", b"[]", b'{"model": "\xff"}'):
        assert 400 == refused(raw).status


def test_window():
    """
    A25 and A26: prompt and window are told; the newer models need no room for the answer.
    """
    long = [user("word " * 4000)]
    small = Anthropic(window=2000)
    for model in (NEW, OLD):
        problem = refused(request(long, model=model), small)
        assert ("A25", "prompt is too long: 5004 tokens > 2000 maximum") == (problem.rule, problem.message)
    tight = Anthropic(window=5050)
    assert NEW == tight.receive(request(long), Seen()).model
    problem = refused(request(long, model=OLD), tight)
    assert "A26" == problem.rule
    assert problem.message == (
        "input length and `max_tokens` exceed context limit: 5004 + 100 > 5050, "
        "decrease input length or `max_tokens` and try again"
    )


FAULTS = {
    "bad_key": (401, "authentication_error", "invalid x-api-key"),
    "not_found": (404, "not_found_error", "model: claude-x"),
    "too_large": (413, "request_too_large", "Request exceeds the maximum size"),
    "rate_limit": (
        429,
        "rate_limit_error",
        "This request would exceed the rate limit for your organization of 20,000 input tokens per minute. For "
        "details, refer to: https://docs.anthropic.com/en/api/rate-limits. You can see the response headers for "
        "current usage. Please reduce the prompt length or the maximum tokens requested, or try again later. You may "
        "also contact sales at https://www.anthropic.com/contact-sales to discuss your options for a rate limit "
        "increase.",
    ),
    "server_error": (500, "api_error", "Internal server error"),
    "timeout": (504, "timeout_error", "Request timed out"),
    "overloaded": (529, "overloaded_error", "Overloaded"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_fault(kind: str):
    """
    A27 to A32: what is no fault of the request has its own status, type and words.
    """
    problem = PROVIDER.fault(kind, limit=20_000, retry_s=1.2, model="claude-x")

    assert FAULTS[kind] == (problem.status, problem.type, problem.message)
    assert ({"retry-after": "2"} if kind == "rate_limit" else {}) == problem.headers


def test_spend_limit():
    """
    A31: the monthly cap is a 429 that says so in its details, and names no time after which to try again.
    """
    problem = PROVIDER.fault("quota")

    assert (
        "enforced_spend_limit_reached"
        == msgspec.json.decode(PROVIDER.problem(problem, "1"))["error"]["details"]["error_code"]
    )
    assert (429, {}) == (problem.status, problem.headers)


def test_unknown_fault():
    """
    A fault that there is not is an error of the caller's, with the names of those that there are.
    """
    with pytest.raises(ValueError, match=r"no fault 'x'; known are bad_key, .*timeout"):
        PROVIDER.fault("x")


def test_headers():
    """
    The request's id is in a header and in an error's body; limits are in headers, tokens in thousands.
    """
    assert {"request-id": "req_7"} == PROVIDER.headers("7")
    headers = PROVIDER.limit_headers({"requests": (50, 49, 1.0), "tokens": (40_000, 12_345, 30.5)})
    assert ("50", "49") == (
        headers["anthropic-ratelimit-requests-limit"],
        headers["anthropic-ratelimit-requests-remaining"],
    )
    assert (
        "12000"
        == headers["anthropic-ratelimit-tokens-remaining"]
        == headers["anthropic-ratelimit-input-tokens-remaining"]
    )
    assert headers["anthropic-ratelimit-tokens-reset"].endswith("Z")


def test_reading():
    """
    A request in looprig's words: system first, a result is a message, and so is each run of text between results.
    """
    call = use("toolu_a", input={"ref": "s0t1r0c0", "n": [1, 2]})
    received = accepted(
        [
            user([text("look "), text("there"), {"type": "image", "source": {}}]),
            assistant(thought(), text("I do"), call),
            user([result("toolu_a", [text("[#s0t1r0c0] "), text("found")]), text("and?"), text("!")]),
        ],
        system=[text("be "), text("kind")],
        stream=True,
    )

    assert received.messages == [
        Message("system", "be kind"),
        Message("user", "look there<image>"),
        Message("assistant", "I do", (ToolCall("toolu_a", "read", '{"ref": "s0t1r0c0", "n": [1, 2]}'),)),
        Message("tool", "[#s0t1r0c0] found", (), "toolu_a"),
        Message("user", "and?!"),
    ]
    assert (NEW, True) == (received.model, received.stream)
