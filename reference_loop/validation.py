"""What a user may say to the loop."""

from __future__ import annotations

import re

from reference_loop.errors import ControlCharacters, EmptyInput, InputTooLong, LoneSurrogates

# Unicode's category Cc without tab, newline and carriage return; and the surrogates.
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def validate(text: str, max_chars: int) -> None:
    """Pass, or raise the `InputError` that says what is wrong.

    Raises:
        TypeError: if *text* is not a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"a user's text is a str, not {type(text).__name__}")
    if not text or text.isspace():
        raise EmptyInput("the text is empty; say something")
    if len(text) > max_chars:
        raise InputTooLong(f"the text has {len(text)} characters; at most {max_chars} are accepted")
    if (found := _REFUSED.search(text)) is not None:
        _refuse(found[0], found.start())


def _refuse(character: str, position: int) -> None:
    where = f"U+{ord(character):04X} at position {position}"
    if "\ud800" <= character <= "\udfff":
        raise LoneSurrogates(f"the text holds a lone surrogate, {where}; it cannot be encoded")
    raise ControlCharacters(f"the text holds a control character, {where}; only newline, tab and return are accepted")
