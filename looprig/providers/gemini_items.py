"""What may stand in Gemini's ``contents``, as types. Its API takes two spellings of each key, and so do these."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from looprig.providers.base import Problem


class Call(msgspec.Struct, gc=False):
    """A call of a function; the older models give it no id."""

    name: str = ""
    args: msgspec.Raw = msgspec.Raw(b"{}")  # an object or null; who reads it looks
    id: str | None = None


class Response(msgspec.Struct, gc=False):
    """What a function gave back."""

    name: str = ""
    response: dict[str, Any] | None = None
    id: str | None = None


class Part(msgspec.Struct, rename="camel", gc=False):
    """A part of a content; the fields with ``_`` behind their name are those of the other spelling."""

    text: str | None = None
    function_call: Call | None = None
    function_call_: Call | None = msgspec.field(name="function_call", default=None)
    function_response: Response | None = None
    function_response_: Response | None = msgspec.field(name="function_response", default=None)
    thought: bool | None = None
    thought_signature: str | None = None
    thought_signature_: str | None = msgspec.field(name="thought_signature", default=None)
    inline_data: Any = None
    inline_data_: Any = msgspec.field(name="inline_data", default=None)
    file_data: Any = None
    file_data_: Any = msgspec.field(name="file_data", default=None)

    @property
    def call(self) -> Call | None:
        return None if self.text is not None else self.function_call or self.function_call_

    @property
    def response(self) -> Response | None:
        return None if self.text is not None else self.function_response or self.function_response_

    @property
    def signature(self) -> str | None:
        return self.thought_signature or self.thought_signature_


class Content(msgspec.Struct, gc=False):
    """One entry of ``contents``."""

    role: str | None = None
    parts: list[Part] | None = None


CONTENTS = msgspec.json.Decoder(list[Content])

_PLACE = re.compile(r"(?P<words>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)


def invalid(rule: str, message: str, *, pinned: bool = True) -> Problem:
    """Return the refusal of a request that breaks *rule*."""
    return Problem(rule=rule, status=400, type="INVALID_ARGUMENT", message=message, pinned=pinned)


def read(text: bytes) -> list[Content]:
    """Read contents; one value stands for a list of one, as the API's own guides write it.

    Raises:
        msgspec.ValidationError: where something is of another kind than its field.
    """
    if text.startswith(b"{"):
        text = b"[" + text + b"]"
    try:
        return CONTENTS.decode(text)
    except msgspec.ValidationError:
        loose = msgspec.json.decode(text)
        for content in loose if isinstance(loose, list) else ():
            if isinstance(content, dict) and isinstance(content.get("parts"), dict):
                content["parts"] = [content["parts"]]
        return CONTENTS.decode(msgspec.json.encode(loose))


def explain(error: msgspec.ValidationError, first: int) -> Problem:
    """Say that a value is of another kind than its field; the first content is number *first*. No text is recorded."""
    match = _PLACE.fullmatch(str(error))
    assert match is not None
    number = re.match(r"\[(\d+)\](.*)", match["path"] or "")
    where = f"contents[{int(number[1]) + first}]{number[2]}" if number else "contents"
    return invalid("G0", f"Invalid value at '{where}': {match['words']}", pinned=False)
