"""The items of a request to Responses: how they are spelled, what they say, and what they are to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from looprig.messages import Message, Role, ToolCall
from looprig.providers.base import Problem, Refused
from looprig.providers.openai_common import bad, missing, wrong_type, wrong_value

ROLES = ("assistant", "system", "developer", "user")
OUTPUT_PARTS = ("output_text", "refusal")
INPUT_PARTS = ("input_text", "input_image", "input_file", "input_audio")

KINDS = (
    "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning",
    "item_reference", "additional_tools", "apply_patch_call", "apply_patch_call_output", "code_interpreter_call",
    "compaction", "compaction_trigger", "computer_call", "computer_call_output", "configuration_update",
    "file_search_call", "image_generation_call", "local_shell_call", "local_shell_call_output", "mcp_approval_request",
    "mcp_approval_response", "mcp_call", "mcp_list_tools", "program", "program_output", "shell_call",
    "shell_call_output", "tool_search_call", "tool_search_output", "web_search_call",
)  # fmt: skip
"""The types of items that the official client can send; of those that are not spelled out here nothing is asked."""

CALLS: Mapping[str, str] = {"function_call": "arguments", "custom_tool_call": "input"}
RESULTS = frozenset({"function_call_output", "custom_tool_call_output"})

_Role = Literal["assistant", "system", "developer", "user"]
_OWN_ROLE: Mapping[str, Role] = {
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
    "user": "user",
}


class Item(msgspec.Struct, gc=False):
    """An item, with the keys of it that anything here depends on."""

    type: str | None = None
    role: _Role | None = None
    content: Any = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: Any = None
    input: Any = None
    output: Any = None


_ITEMS = msgspec.json.Decoder(list[Item])


def spelled(raw: bytes, start: int) -> list[Item]:
    """Decode the items of a request; the first is number *start*.

    Raises:
        Refused: where one is not spelled as an item is (R11).
    """
    try:
        return _ITEMS.decode(raw)
    except msgspec.ValidationError:
        raise Refused(_misspelled(msgspec.json.decode(raw), start)) from None


def _misspelled(items: Any, start: int) -> Problem:
    for index, item in enumerate(items, start):
        path = f"input[{index}]"
        if not isinstance(item, dict):
            return wrong_type("R11", path, "an object", item)
        role = item.get("role")
        if role is not None and role not in ROLES:
            return wrong_value("R11", path, role, ROLES)
        for key in ("type", "id", "call_id", "name"):
            if not isinstance(item.get(key), str | None):
                return wrong_type("R11", f"{path}.{key}", "a string", item[key])
    return bad("R11", "Invalid value for 'input'.", "input", "invalid_value", pinned=False)


# -- what the items say ----------------------------------------------------------------------------------------------


def read(items: Sequence[Item], start: int, onto: list[Message]) -> None:
    """Add to *onto* what the items say; calls join the assistant message that they come behind.

    Raises:
        Refused: where an item is not spelled as one of its type is (R11, R12).
    """
    for index, item in enumerate(items, start):
        kind = item.type
        if kind == "function_call_output":
            onto.append(Message("tool", _output(item, index), (), item.call_id))
        elif kind == "function_call":
            _add_call(onto, _call(item, index))
        elif kind == "message" or (kind is None and item.role is not None):
            content = item.content
            if item.role is None or content is None:
                raise Refused(missing("R11", f"input[{index}].{'content' if item.role else 'role'}", pinned=False))
            text = content if content.__class__ is str else _parts(content, item.role, f"input[{index}].content")
            onto.append(Message(_OWN_ROLE[item.role], text))
        elif kind in CALLS:
            _add_call(onto, _call(item, index))
        elif kind in RESULTS:
            onto.append(Message("tool", _output(item, index), (), item.call_id))
        elif kind not in KINDS:
            raise Refused(_no_such_type(kind, index))


def _no_such_type(kind: str | None, index: int) -> Problem:
    if kind is None:
        return missing("R11", f"input[{index}].type", pinned=False)
    return wrong_value("R11", f"input[{index}]", kind, KINDS, pinned=False)


def _add_call(onto: list[Message], call: ToolCall) -> None:
    if onto and onto[-1].role == "assistant":
        last = onto[-1]
        onto[-1] = Message("assistant", last.content, (*last.tool_calls, call))
    else:
        onto.append(Message("assistant", "", (call,)))


def _call(item: Item, index: int) -> ToolCall:
    assert item.type is not None
    key = CALLS[item.type]
    told = getattr(item, key)
    if item.call_id is None or item.name is None or told is None:
        lacks = "call_id" if item.call_id is None else "name" if item.name is None else key
        raise Refused(missing("R11", f"input[{index}].{lacks}", pinned=False))
    if not isinstance(told, str):
        raise Refused(wrong_type("R11", f"input[{index}].{key}", "a string", told))
    return ToolCall(item.call_id, item.name, told)


def _output(item: Item, index: int) -> str:
    if item.call_id is None or item.output is None:
        lacks = "call_id" if item.call_id is None else "output"
        raise Refused(missing("R11", f"input[{index}].{lacks}", pinned=False))
    if item.output.__class__ is str:
        return str(item.output)
    return _parts(item.output, "user", f"input[{index}].output")


def _parts(parts: object, role: str, path: str) -> str:
    """Join the parts of a content; an assistant says other parts than the others (R12)."""
    if not isinstance(parts, list):
        raise Refused(wrong_type("R12", path, "one of an array of objects or string", parts))
    allowed = OUTPUT_PARTS if role == "assistant" else INPUT_PARTS
    texts = []
    for number, part in enumerate(parts):
        if not isinstance(part, dict):
            raise Refused(wrong_type("R12", f"{path}[{number}]", "an object", part))
        kind = part.get("type")
        if kind not in allowed:
            raise Refused(_no_such_part(kind, allowed, f"{path}[{number}]"))
        text = part.get("refusal" if kind == "refusal" else "text")
        if isinstance(text, str):
            texts.append(text)
        elif kind in ("output_text", "input_text"):
            raise Refused(missing("R12", f"{path}[{number}].text", pinned=False))
        else:
            texts.append(f"<{kind}>")
    return "".join(texts)


def _no_such_part(kind: object, allowed: Sequence[str], path: str) -> Problem:
    if kind is None:
        return missing("R12", f"{path}.type", pinned=False)
    return wrong_value("R12", path, kind, allowed, pinned=allowed is OUTPUT_PARTS)


# -- what the items are to each other: R1 to R5 ----------------------------------------------------------------------


class Known(msgspec.Struct):
    """What the items so far were: their ids, the ids of their calls, those calls that wait for their result."""

    ids: set[str] = msgspec.field(default_factory=set)
    calls: set[str] = msgspec.field(default_factory=set)
    open: tuple[str, ...] = ()
    count: int = 0

    def add(self, more: Known) -> None:
        """Take in what came behind."""
        self.ids |= more.ids
        self.calls |= more.calls
        self.open = more.open
        self.count += more.count


def follow(items: Sequence[Item], known: Known) -> Known:
    """Follow items behind those that are *known*; return what they add.

    Calls and results are paired by their id, wherever they stand. That a missing result is told before a missing call
    is not pinned.

    Raises:
        Refused: R1 to R5.
    """
    more, pairing = Known(count=len(items)), _Pairing(known)
    thought: str | None = None
    for item in items:
        kind = item.type
        if item.id is not None:
            _identify(item, known, more)
        if thought is not None and not _is_output(item, thought):
            raise Refused(_thought_alone(thought))
        thought = item.id if kind == "reasoning" else None
        if kind in CALLS and item.call_id is not None:
            more.calls.add(item.call_id)
            pairing.call(item.call_id)
        elif kind in RESULTS and item.call_id is not None:
            pairing.result(item.call_id, more.calls)
    if thought is not None:
        raise Refused(_thought_alone(thought))
    problem = pairing.problem()
    if problem is not None:
        raise Refused(problem)
    return more


class _Pairing:
    """Calls that wait for a result, and results that wait for a call."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._open = dict.fromkeys(known.open)
        self._strays: dict[str, None] = {}

    def call(self, call_id: str) -> None:
        if call_id in self._strays:
            del self._strays[call_id]
        else:
            self._open[call_id] = None

    def result(self, call_id: str, calls: set[str]) -> None:
        if call_id in self._open:
            del self._open[call_id]
        elif call_id not in calls and call_id not in self._known.calls:
            self._strays[call_id] = None

    def problem(self) -> Problem | None:
        for call_id in self._open:
            return bad("R1", f"No tool output found for function call {call_id}.", "input")
        for call_id in self._strays:
            return bad("R2", f"No tool call found for function call output with call_id {call_id}.", "input")
        return None


def _identify(item: Item, known: Known, more: Known) -> None:
    """Take in an item's id: it is there once (R5), and behind the thought that it came with (R4)."""
    assert item.id is not None
    if item.id in more.ids or item.id in known.ids:
        text = f"Duplicate item found with id {item.id}. Remove duplicate items from your input and try again."
        raise Refused(bad("R5", text, "input"))
    more.ids.add(item.id)
    thought = thought_of(item.id)
    if thought is not None and thought not in more.ids and thought not in known.ids:
        named = f"Item '{item.id}' of type '{item.type or 'message'}'"
        text = f"{named} was provided without its required 'reasoning' item: '{thought}'."
        raise Refused(bad("R4", text, "input"))


def thought_of(item_id: str) -> str | None:
    """Return the id of the reasoning item that an item of ours came with, which its own id ends with."""
    at = item_id.find("_rs_")
    return item_id[at + 1 :] if at > 0 else None


def _is_output(item: Item, thought: str) -> bool:
    """Say whether *item* can be what the model said behind its thought."""
    if item.id is not None and (own := thought_of(item.id)) is not None:
        return own == thought
    if item.type is None or item.type == "message":
        return item.role == "assistant"
    return item.type == "reasoning" or item.type.endswith("_call")


def _thought_alone(thought: str) -> Problem:
    text = f"Item '{thought}' of type 'reasoning' was provided without its required following item."
    return bad("R3", text, "input")


def follow_messages(messages: Sequence[Message], known: Known) -> tuple[Problem | None, Known]:
    """Do as `follow` with messages in looprig's words."""
    more, pairing = Known(), _Pairing(known)
    for message in messages:
        if message.tool_calls:
            for call in message.tool_calls:
                more.calls.add(call.id)
                pairing.call(call.id)
        elif message.role == "tool":
            pairing.result(message.tool_call_id or "", more.calls)
    return pairing.problem(), more
