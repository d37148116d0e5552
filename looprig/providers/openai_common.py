"""What OpenAI's two APIs have in common: how a refusal is worded, the faults that are none of the request, headers."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from looprig.messages import Message
from looprig.providers.base import Problem, Refused
from looprig.tokens import Counter, message_tokens

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading a body raises that is no JSON, no text, or nested deeper than anybody reads."""

KINDS: Mapping[type, str] = {
    str: "a string",
    int: "an integer",
    float: "a decimal",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    type(None): "null",
}
"""How a value's type is named; of these "an integer" and "null" stand in recorded responses."""


def bad(rule: str, message: str, param: str | None = None, code: str | None = None, *, pinned: bool = True) -> Problem:
    """Return a refusal with status 400."""
    return Problem(
        rule=rule, status=400, type="invalid_request_error", message=message, param=param, code=code, pinned=pinned
    )


def missing(rule: str, param: str, *, pinned: bool = True) -> Problem:
    """Return the refusal of a request that lacks *param*."""
    return bad(rule, f"Missing required parameter: '{param}'.", param, "missing_required_parameter", pinned=pinned)


def empty_array(rule: str, param: str) -> Problem:
    """Return the refusal of an empty list where one item at least is wanted."""
    text = f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    return bad(rule, text, param, "empty_array")


def wrong_type(rule: str, param: str, expected: str, value: object, *, pinned: bool = False) -> Problem:
    """Return the refusal of a value of another type than *expected*."""
    got = KINDS.get(type(value), "an object")
    return bad(
        rule, f"Invalid type for '{param}': expected {expected}, but got {got} instead.", param, "invalid_type",
        pinned=pinned,
    )  # fmt: skip


def wrong_value(rule: str, param: str, value: object, supported: Sequence[str], *, pinned: bool = True) -> Problem:
    """Return the refusal of a value that is none of those supported."""
    listed = [f"'{name}'" for name in supported]
    text = f"{', '.join(listed[:-1])}, and {listed[-1]}" if len(listed) > 2 else " and ".join(listed)
    return bad(
        rule, f"Invalid value: '{value}'. Supported values are: {text}.", param, "invalid_value", pinned=pinned
    )  # fmt: skip


def too_long(rule: str, param: str, limit: int, length: int) -> Problem:
    """Return the refusal of a text of more than *limit* characters."""
    return bad(
        rule,
        f"Invalid '{param}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {length} instead.",
        param,
        "string_above_max_length",
    )


def unparsable() -> Problem:
    """Return the refusal of a body that is no JSON object."""
    return bad(
        "JSON",
        "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
        "library correctly. The OpenAI API expects a JSON payload, but what was sent was not valid JSON.)",
        pinned=False,
    )


def unknown_parameter(rule: str, name: str, known: Iterable[str]) -> Problem:
    """Return the refusal of a parameter that there is not; which known ones count as near is not pinned."""
    near = sorted(difflib.get_close_matches(name, sorted(known), 2))
    hint = f" Did you mean {' or '.join(repr(each) for each in near)}?" if near else ""
    return bad(rule, f"Unknown parameter: '{name}'.{hint}", name, "unknown_parameter", pinned=not near)


class Field(msgspec.Struct, frozen=True):
    """What a plain field of a request may be: its kind (as in `KINDS`), and where it is a number its bounds."""

    name: str
    kind: type
    low: float | None = None
    high: float | None = None


def field_problem(rule: str, field: Field, value: object, *, pinned: bool = False) -> Problem | None:
    """Return why *value* cannot be the field's, if so; null is no value at all.

    Only the text for a decimal below its bound is recorded; the others are worded like it.
    """
    if value is None or field.kind is object:
        return None
    fits = isinstance(value, int | float) if field.kind is float else isinstance(value, field.kind)
    if not fits or (isinstance(value, bool) and field.kind is not bool):
        return wrong_type(rule, field.name, KINDS[field.kind], value)
    if isinstance(value, int | float) and field.kind is not bool:
        return _out_of_bounds(rule, field, value, pinned=pinned)
    return None


def _out_of_bounds(rule: str, field: Field, value: float, *, pinned: bool) -> Problem | None:
    if field.low is not None and value < field.low:
        side, sign, bound = ("below", "min"), ">=", field.low
    elif field.high is not None and value > field.high:
        side, sign, bound = ("above", "max"), "<=", field.high
    else:
        return None
    kind = "decimal" if field.kind is float else "integer"
    text = (
        f"Invalid '{field.name}': {kind} {side[0]} {side[1]}imum value. "
        f"Expected a value {sign} {bound:g}, but got {value} instead."
    )
    return bad(rule, text, field.name, f"{kind}_{side[0]}_{side[1]}_value", pinned=pinned and side[0] == "below")


def tokens_beyond(raw: bytes, messages: Sequence[Message], window: int, count: Counter) -> int:
    """Return how many tokens the messages have where they may be too many for the window, else 0.

    A token has a byte at least, and what JSON puts around a message has more bytes than a message has overhead: a
    short body need not be counted.
    """
    if len(raw) <= window:
        return 0
    tokens = sum(message_tokens(message, count) for message in messages)
    return tokens if tokens > window else 0


def decoded(raw: bytes) -> Any:
    """Decode JSON that was looked at before.

    Raises:
        Refused: where a text in it cannot be decoded.
    """
    try:
        return msgspec.json.decode(raw)
    except UNREADABLE:
        raise Refused(unparsable()) from None


# -- words for an answer ---------------------------------------------------------------------------------------------

_ENCODER = msgspec.json.Encoder()


def encoded(value: object) -> bytes:
    """Return *value* as JSON; what UTF-8 cannot hold is escaped."""
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":")).encode()


def padding(answer_id: str) -> str:
    """Return the text that obfuscations are cut from, the same for the same answer."""
    return sha256(answer_id.encode("utf-8", "replace")).hexdigest()


def obfuscation(pad: bytes, number: int, piece: str) -> bytes:
    """Return what hides the length of *piece*: together they fill up to a multiple of 16 characters."""
    start = number % 48
    return pad[start : start + 16 - len(piece) % 16]


# -- faults ------------------------------------------------------------------------------------------------------------


def fault(kind: str, **figures: Any) -> Problem:
    """Return a fault that is no fault of the request; see `looprig.providers.base.Provider.fault`."""
    if kind == "rate_limit":
        return _rate_limit(**figures)
    if kind not in FAULTS:
        raise ValueError(f"there is no fault {kind!r}; known are {', '.join(sorted([*FAULTS, 'rate_limit']))}")
    return FAULTS[kind]


def _plain(rule: str, status: int, type_: str, message: str, code: str | None = None, *, pinned: bool) -> Problem:
    return Problem(rule=rule, status=status, type=type_, message=message, code=code, pinned=pinned)


_REQUEST, _SERVER = "invalid_request_error", "server_error"

FAULTS: Mapping[str, Problem] = {
    "bad_request": bad("fault", "Invalid request.", pinned=False),
    "bad_key": _plain(
        "C19",
        401,
        _REQUEST,
        "Incorrect API key provided: sk-false. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        "invalid_api_key",
        pinned=True,
    ),
    "not_found": _plain("fault", 404, _REQUEST, "Invalid URL.", pinned=False),
    "quota": _plain(
        "C21",
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "insufficient_quota",
        pinned=False,  # The first sentence is documented, the link's wording is not.
    ),
    "server_error": _plain(
        "C22", 500, _SERVER, "The server had an error while processing your request. Sorry about that!", pinned=True
    ),
    "overloaded": _plain(
        "fault", 503, _SERVER, "The engine is currently overloaded, please try again later.", pinned=False
    ),
    "too_large": _plain("fault", 413, _REQUEST, "The request body is too large.", pinned=False),
    "timeout": _plain("fault", 504, _SERVER, "The request timed out.", pinned=False),
}


def _rate_limit(
    *, limit: int, used: int, requested: int, retry_s: float, of: str = "tokens", model: str = "gpt-4o"
) -> Problem:
    per = {"tokens": "tokens per min (TPM)", "requests": "requests per min (RPM)"}[of]
    wait = go_duration(retry_s)
    return Problem(
        rule="C20",
        status=429,
        type=of,
        message=(
            f"Rate limit reached for {model} in organization org-looprig on {per}: Limit {limit}, Used {used}, "
            f"Requested {requested}. Please try again in {wait}. "
            "Visit https://platform.openai.com/account/rate-limits to learn more."
        ),
        code="rate_limit_exceeded",
        headers={"retry-after": f"{max(1, round(retry_s))}", "retry-after-ms": f"{round(retry_s * 1000)}"},
    )


def go_duration(seconds: float) -> str:
    """Return a time as Go prints it: ``0s``, ``120ms``, ``1.574s``, ``6m0s``."""
    milliseconds = round(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    text = f"{rest / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def headers(request_id: str) -> Mapping[str, str]:
    """Return the headers of every response; how long it took is for the server to say, which may put it in."""
    return {"x-request-id": request_id, "openai-version": "2020-10-01", "openai-processing-ms": "0"}


def limit_headers(limits: Mapping[str, tuple[int, int, float]]) -> Mapping[str, str]:
    """Return the headers that tell limits, of requests and of tokens."""
    told: dict[str, str] = {}
    for of, (limit, remaining, reset_s) in limits.items():
        told[f"x-ratelimit-limit-{of}"] = str(limit)
        told[f"x-ratelimit-remaining-{of}"] = str(remaining)
        told[f"x-ratelimit-reset-{of}"] = go_duration(reset_s)
    return told


def envelope(problem: Problem) -> dict[str, Any]:
    """Return a problem as the body of an error: all four keys are always there."""
    return {
        "error": {
            "message": problem.message,
            "type": problem.type,
            "param": problem.param,
            "code": problem.code,
        }
    }
