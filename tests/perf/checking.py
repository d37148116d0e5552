"""Measures what it costs to check a request of 400 messages: the first time, and when two messages are new.

``python -m tests.perf.checking`` prints it. Of a request that is seen for the first time the rules about its messages
are measured by themselves, and beside them what any server does: decoding its JSON, and reading what it says into
messages. Of a request that has grown by two messages all is measured, with the comparison of memory that finds what is
new. Each is the least CPU time of many tries, since this machine is not ours alone; the decoding of the same body by
msgspec into dicts stands beside it as a yardstick, which is slow when the machine is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from looprig.messages import Message
from looprig.providers import PROVIDERS, gemini_items, openai_chat, openai_items
from looprig.providers.anthropic_items import ITEMS as ANTHROPIC_ITEMS
from looprig.providers.anthropic_rules import Walk as AnthropicWalk
from looprig.providers.base import Answer, Received, Seen, opened
from looprig.providers.gemini_rules import Walk as GeminiWalk
from tests.perf.targets import Section, Target, table
from tests.perf.test_anthropic_gemini_speed import anthropic_items, gemini_contents

FIRST_US, AGAIN_US, STREAM_US = 100, 10, 100
PIECES = ("word ",) * 64
ROUNDS = 5
"""Rounds of one try."""


def chat_messages(count: int) -> list[dict[str, Any]]:
    """Make turns of a question, a round of two calls, and an answer, for Chat Completions."""
    messages: list[dict[str, Any]] = []
    for number in range(count):
        ids = [f"call_{number}_{each}" for each in range(2)]
        function = {"name": "search", "arguments": '{"query": "this and that"}'}
        calls = [{"id": each, "type": "function", "function": function} for each in ids]
        messages.append({"role": "user", "content": f"question {number} about this and that"})
        messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        messages += [{"role": "tool", "content": "what the tool has found", "tool_call_id": each} for each in ids]
        messages.append({"role": "assistant", "content": "the answer is such and such"})
    return messages[:count]


def response_items(count: int) -> list[dict[str, Any]]:
    """Make the same turns for Responses, where a call is an item of its own."""
    items: list[dict[str, Any]] = []
    for number in range(count):
        call_id = f"call_{number}"
        call = {"type": "function_call", "id": f"fc_{number}", "call_id": call_id, "name": "search", "arguments": "{}"}
        items.append({"role": "user", "content": f"question {number} about this and that"})
        items.append(call)
        items.append({"type": "function_call_output", "call_id": call_id, "output": "what the tool has found"})
        items.append({"role": "assistant", "content": "the answer is such and such"})
    return items[:count]


class Api(NamedTuple):
    """How a provider's requests are made: the key of its list, the items, the rest of the body.

    ``decode`` makes of the list what the provider's ``rules`` are asked of. ``whole`` is how many messages a request
    has, near 400, so that it ends with a whole turn.
    """

    key: str
    items: Callable[[int], list[dict[str, Any]]]
    fields: dict[str, Any]
    decode: Callable[[bytes], Any]
    rules: Callable[[Any], Any]
    whole: int = 400
    model: str | None = None

    def body(self, count: int) -> bytes:
        """Return a request of so many messages."""
        return msgspec.json.encode({self.key: self.items(count), **self.fields})


def _gemini_rules(contents: Any) -> None:
    walk = GeminiWalk()
    walk.through(contents)
    walk.end(signatures=False)


APIS = {
    "openai-chat": Api(
        "messages",
        chat_messages,
        {"model": "gpt-4o"},
        msgspec.json.Decoder(list[openai_chat._Said]).decode,
        lambda said: (openai_chat._no_content(said, 0), openai_chat._disorder(said, 0, {})),
    ),
    "openai-responses": Api(
        "input",
        response_items,
        {"model": "gpt-4o"},
        msgspec.json.Decoder(list[openai_items.Item]).decode,
        lambda items: openai_items.follow(items, openai_items.Known()),
    ),
    "anthropic": Api(
        "messages",
        anthropic_items,
        {"model": "claude-sonnet-5", "max_tokens": 9},
        ANTHROPIC_ITEMS.decode,
        lambda items: AnthropicWalk().through(items),
        401,
    ),
    "gemini": Api("contents", gemini_contents, {}, gemini_items.read, _gemini_rules, 401, "gemini-2.5-flash"),
}


class Cost(NamedTuple):
    """What checking costs one provider, in microseconds; ``dicts`` is the yardstick, ``whole`` all of a first time."""

    size: int
    dicts: float
    decoding: float
    rules: float
    whole: float
    again: float
    stream: float


def least_us(work: Callable[[], object], tries: int) -> float:
    """Return the least CPU time of *work* in so many tries of a few rounds each."""
    best = float("inf")
    for _ in range(tries):
        started = time.process_time_ns()
        for _ in range(ROUNDS):
            work()
        best = min(best, (time.process_time_ns() - started) / ROUNDS / 1000)
    return best


def cost_of(name: str, tries: int) -> Cost:
    """Measure one provider."""
    api, provider = APIS[name], PROVIDERS[name]
    raw, grown = api.body(api.whole), _grown(api)
    list_only = msgspec.json.encode(api.items(api.whole))
    seen = Seen()
    provider.receive(raw, seen, api.model)
    kept = {slot: getattr(seen, slot) for slot in Seen.__struct_fields__}

    def remembered() -> Seen:
        # A request changes what is remembered: each try begins with what was remembered before.
        before = Seen()
        for slot, value in kept.items():
            setattr(before, slot, value)
        return before

    ready = [remembered() for _ in range(tries * 3 * ROUNDS + 1)]

    def again() -> Received:
        return provider.receive(grown, ready.pop(), api.model)

    assert api.whole + 2 == len(again().messages)
    received = provider.receive(raw, Seen(), api.model)
    text = Message("assistant", "".join(PIECES))
    said = Answer(id="abc", created=1, model=received.model, message=text, pieces=(PIECES,))
    decoding = least_us(partial(opened, raw, api.key, Seen()), tries) + least_us(partial(api.decode, list_only), tries)
    items = api.decode(list_only)
    return Cost(
        size=len(raw),
        dicts=least_us(partial(msgspec.json.decode, raw), tries),
        decoding=decoding,
        rules=least_us(lambda: api.rules(items), tries),
        whole=least_us(lambda: provider.receive(raw, Seen(), api.model), tries),
        again=least_us(again, tries * 3),
        stream=least_us(lambda: provider.stream(said, received), tries),
    )


def _grown(api: Api) -> bytes:
    """Return the request with two more messages."""
    return (
        api.body(api.whole + 2)
        if api.whole % 2
        else msgspec.json.encode({api.key: [*api.items(api.whole), *_two(api)], **api.fields})
    )


def _two(api: Api) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "and then?"}, {"role": "assistant", "content": "then this"}]


def measure(tries: int = 200) -> Section:
    """Measure all providers."""
    costs = {name: cost_of(name, tries) for name in APIS}
    headers = ["provider", "bytes", "into dicts", "decoding", "rules", "all, first time", "all, two new", "64 deltas"]
    rows = [[name, f"{cost.size:,}", *(f"{us:.1f} us" for us in cost[1:])] for name, cost in costs.items()]
    return Section(
        "Checking a request of 400 messages",
        "python -m tests.perf.checking",
        [target for name, cost in costs.items() for target in targets(name, cost)],
        [table(headers, rows)],
    )


def targets(name: str, cost: Cost) -> Sequence[Target]:
    """Hold one provider's costs against their limits."""
    judged = (
        ("checked the first time, decoding and reading apart", cost.rules, FIRST_US),
        ("checked when two messages are new", cost.again, AGAIN_US),
        ("a stream of 64 deltas built", cost.stream, STREAM_US),
    )
    return [Target(f"{name}: {what}", f"{us:.1f} us", f"at most {limit} us", us <= limit) for what, us, limit in judged]


if __name__ == "__main__":
    from tests.perf.targets import section

    print(section(measure()))
