"""Arguments of calls as objects, for the providers that send them so: looprig has them as the text the model wrote."""

from __future__ import annotations

import json
from typing import Any

import msgspec

MALFORMED = "INVALID_JSON"
"""The one key of the object that stands for arguments which are no JSON object.

A scenario may plan such arguments, and these APIs cannot say them. Anthropic's guide to streamed arguments tells
clients to wrap what they cannot read in just this way, so a loop has a chance to know it.
"""


def object_of(arguments: str) -> dict[str, Any]:
    """Return the object that *arguments* are, or one that holds them as they are."""
    try:
        return _OBJECT.decode(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {MALFORMED: arguments}


def text_of(values: dict[str, Any]) -> str:
    """Return *values* as text, written as looprig's scripted model writes it."""
    if MALFORMED in values and len(values) == 1 and isinstance(values[MALFORMED], str):
        return str(values[MALFORMED])
    return _written(values)


_OBJECT = msgspec.json.Decoder(dict[str, Any])
_written = json.JSONEncoder().encode
