"""Arguments of calls as objects, for the providers that send them so: looprig has them as the text the model wrote."""

from __future__ import annotations

import json
import re
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
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {MALFORMED: arguments}


def text_of(raw: bytes) -> str:
    """Return the JSON object *raw* as text, written as looprig's scripted model writes it.

    Raises:
        msgspec.DecodeError: where it is no object.
    """
    if raw.isascii() and raw.startswith(b"{") and not _SPELLED.search(raw):
        return _format(raw, indent=0).decode()  # nothing in it has two spellings but the space between
    values = _OBJECT.decode(raw)
    if values.keys() == {MALFORMED} and isinstance(values[MALFORMED], str):
        return str(values[MALFORMED])
    return json.dumps(values)


_SPELLED = re.compile(rb"\\|[0-9][eE]|" + MALFORMED.encode())
"""What may be spelled in another way than Python does, or stands for what is no object."""
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_format = msgspec.json.format
