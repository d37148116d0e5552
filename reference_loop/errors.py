"""What a user of the loop can do wrong, as exceptions that say what to change."""

from collections.abc import Iterable
from difflib import get_close_matches


class ConfigError(ValueError):
    """An option is unknown or has a value that makes no sense."""


class InputError(ValueError):
    """A user's text was refused; the history is as it was before."""


class NoTurnNow(RuntimeError):
    """A conversation has one turn at a time, and none after its end."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return the end of an error message: the nearest known word, if one is near, and all of them."""
    names = list(known)
    near = get_close_matches(str(word), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (known: {', '.join(names)})" if names else ""


def describe(error: BaseException) -> str:
    """Return type and text of *error*, also where its own ``__str__`` fails."""
    try:
        text = str(error)
    except Exception:
        text = "<its text cannot be read>"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
