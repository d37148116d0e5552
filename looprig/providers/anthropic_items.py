"""What may stand in ``messages``, as types; and what Anthropic says where something else stands there.

A body that fits these types is read in one go. Only where it does not fit is it looked at again, item by item, for
the words that the provider would have for it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import msgspec

from looprig.providers.base import Problem

ID_PATTERN = "^[a-zA-Z0-9_-]+$"

Id = Annotated[str, msgspec.Meta(pattern=ID_PATTERN)]


class Block(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False, tag_field="type"):
    """A block of a message's content; only some kinds take part in the rules."""

    cache_control: Any = None


class Text(Block, tag="text"):
    text: str
    citations: Any = None


class ToolUse(Block, tag="tool_use"):
    id: Id
    name: str
    input: msgspec.Raw  # an object; who reads it looks
    caller: Any = None
    toolset_name: str | None = None


class ToolResult(Block, tag="tool_result"):
    tool_use_id: Id
    content: str | list[dict[str, Any]] | None = None
    is_error: bool | None = None
    toolset_name: str | None = None


class Thinking(Block, tag="thinking"):
    thinking: str
    signature: str


class RedactedThinking(Block, tag="redacted_thinking"):
    data: str


class _Source(Block):
    source: Any


class Image(_Source, tag="image"):
    transformations: Any = None


class Document(_Source, tag="document"):
    title: str | None = None
    context: str | None = None
    citations: Any = None


class SearchResult(_Source, tag="search_result"):
    title: str
    content: list[Any]
    citations: Any = None


class ContainerUpload(Block, tag="container_upload"):
    file_id: str


class ServerToolUse(Block, tag="server_tool_use"):
    id: str
    name: str
    input: dict[str, Any]
    caller: Any = None


class _ServerResult(Block):
    tool_use_id: str
    content: Any
    caller: Any = None


class WebSearchResult(_ServerResult, tag="web_search_tool_result"):
    pass


class WebFetchResult(_ServerResult, tag="web_fetch_tool_result"):
    pass


class CodeResult(_ServerResult, tag="code_execution_tool_result"):
    pass


class BashResult(_ServerResult, tag="bash_code_execution_tool_result"):
    pass


class EditorResult(_ServerResult, tag="text_editor_code_execution_tool_result"):
    pass


class ToolSearchResult(_ServerResult, tag="tool_search_tool_result"):
    pass


AnyBlock = (
    Text
    | ToolUse
    | ToolResult
    | Thinking
    | RedactedThinking
    | Image
    | Document
    | SearchResult
    | ContainerUpload
    | ServerToolUse
    | WebSearchResult
    | WebFetchResult
    | CodeResult
    | BashResult
    | EditorResult
    | ToolSearchResult
)

Content = str | list[AnyBlock]


class Item(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One entry of ``messages``."""

    role: Literal["user", "assistant", "system"]
    content: Content
    output_config: Any = None  # a system message without content may carry it, and then only directs


ITEMS = msgspec.json.Decoder(list[Item])
_ITEM = msgspec.json.Decoder(Item)

_KINDS = {"str": "string", "array": "list", "object": "dictionary", "bool": "boolean", "str | array": "list"}
_MESSAGE = re.compile(r"(?P<words>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def explain(text: bytes, first: int = 0) -> tuple[Problem | None, Problem | None]:
    """Say what is wrong with items that do not fit: the first fault of a field, and the first unknown key.

    They are two because other fields of the request are looked at between them. The first item is number *first*.
    """
    extra: Problem | None = None
    for number, item in enumerate(msgspec.json.decode(text), first):
        while True:
            try:
                _ITEM.decode(msgspec.json.encode(item))
            except msgspec.ValidationError as error:
                problem, key = _explained(str(error), item, number)
                if key is None:
                    return problem, extra
                extra = extra or problem
                _without(item, key)
                continue
            break
    return None, extra


def _explained(error: str, item: Any, number: int) -> tuple[Problem, list[str | int] | None]:
    """Return what Anthropic says for what msgspec says, and the way to the key that is unknown, where it is one."""
    match = _MESSAGE.fullmatch(error)
    assert match is not None
    words, steps = match["words"], _steps(match["path"] or "")
    quoted = re.findall(r"`(.*?)`|regex '(.*?)'", words)
    first = quoted[0][0] if quoted else ""
    if words.startswith("Object contains unknown field"):
        place = _place([*steps, first], item, number)
        return bad("A19", f"{place}: Extra inputs are not permitted"), [*steps, first]
    if words.startswith("Object missing required field"):
        return bad("A0", f"{_place([*steps, first], item, number)}: Field required", pinned=False), None
    place = _place(steps, item, number)
    if steps == ["role"]:
        return _role(item, place), None
    if "matching regex" in words:
        # Recorded for the id of a call; that the id of a result is looked at alike is an inference.
        pinned = steps[-1] == "id"
        return bad("A6", f"{place}: String should match pattern '{ID_PATTERN}'", pinned=pinned), None
    # The texts of the other faults of a field are pydantic's, and no response with them is recorded.
    if words.startswith("Invalid value"):
        tags = ", ".join(f"'{tag}'" for tag in sorted(_TAGS))
        place, found = place.removesuffix(".type"), words.removeprefix("Invalid value ").replace('"', "'")
        text = f"{place}: Input tag {found} found using 'type' does not match any of the expected tags: {tags}"
        return bad("A0", text, pinned=False), None
    return bad("A0", f"{place}: Input should be a valid {_KINDS.get(first, first)}", pinned=False), None


def _role(item: Any, place: str) -> Problem:
    role = item["role"]
    if not isinstance(role, str):
        return bad("A0", f"{place}: Input should be a valid string", pinned=False)
    return bad("A11", f'messages: Unexpected role "{role}". Allowed roles are "user" or "assistant"')


def bad(rule: str, message: str, *, pinned: bool = True) -> Problem:
    """Return the refusal of a request that breaks *rule*; the clients are told not to send it again."""
    return Problem(
        rule=rule,
        status=400,
        type="invalid_request_error",
        message=message,
        pinned=pinned,
        headers={"x-should-retry": "false"},
    )


def _steps(path: str) -> list[str | int]:
    return [key or int(index) for key, index in _STEP.findall(path)]


def _place(steps: list[str | int], item: Any, number: int) -> str:
    """Write the way to a value as Anthropic does: a block's kind stands between its number and its keys."""
    words: list[str] = ["messages", str(number)]
    value = item
    for depth, step in enumerate(steps):
        words.append(str(step))
        value = value[step] if not isinstance(value, dict) or step in value else None
        inner = depth == 1 and isinstance(step, int) and len(steps) > 2
        if inner and isinstance(value, dict) and value.get("type") in _TAGS:
            words.append(str(value["type"]))
    return ".".join(words)


def _without(item: Any, way: list[str | int]) -> None:
    for step in way[:-1]:
        item = item[step]
    del item[way[-1]]


_TAGS = frozenset(str(kind.__struct_config__.tag) for kind in AnyBlock.__args__)
