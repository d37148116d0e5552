"""What every provider offers: reading its requests, its rules, and its words for an answer or a fault.

A provider here is a module-level value with the methods of `Provider`; it keeps nothing between requests. What
is remembered of a conversation, so that a request that only adds to the one before costs work for what it adds,
is a `Seen`, which the caller keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol, overload

import msgspec

from looprig.messages import Message


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a provider refuses a request, as it says it.

    ``rule`` is the code of the rule (``C1``, ``A7``); ``status`` the HTTP status; ``type``, ``param`` and ``code``
    stand in the body where the provider's envelope has them. ``pinned`` is false where no recorded response backs
    the exact text. ``headers`` go with the response.
    """

    rule: str
    status: int
    type: str
    message: str
    param: str | None = None
    code: str | None = None
    pinned: bool = True
    headers: Mapping[str, str] = {}


class Refused(Exception):
    """A request that breaks a rule of its provider."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.rule}: HTTP {problem.status} {problem.message}")
        self.problem = problem


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one request: ``prompt`` counts all of the input, ``cached`` those of it that a prompt cache had."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the model says to a request.

    ``id`` is without the provider's prefix (``chatcmpl-``, ``msg_``); ``created`` is in seconds. ``pieces`` are the
    parts in which the text and then the arguments of each call are streamed: of the text, and of each call's
    arguments, in order. ``stop`` is ``stop``, ``tool_calls`` or ``length``; each provider has a word of its own for it.
    """

    id: str
    created: int
    model: str
    message: Message
    pieces: tuple[tuple[str, ...], ...]
    stop: str = "stop"
    usage: Usage = Usage()


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as server-sent events, ready to be sent.

    ``head`` goes out with the first delta, ``tail`` with the last; each delta is what one token's time brings.
    A stream without deltas is its head and tail.
    """

    head: bytes
    deltas: Sequence[bytes]
    tail: bytes

    def whole(self) -> bytes:
        """Return all of it, to be sent at once."""
        deltas = self.deltas
        middle = deltas.joined() if isinstance(deltas, Spliced) else b"".join(deltas)
        return b"".join((self.head, middle, self.tail))


class Spliced(Sequence[bytes]):
    """Deltas that all begin alike, and are made when they are looked at: *first* and each of *endings*."""

    __slots__ = ("_endings", "_first")

    def __init__(self, first: bytes, endings: tuple[bytes, ...]) -> None:
        self._first, self._endings = first, endings

    def __len__(self) -> int:
        return len(self._endings)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self._first + ending for ending in self._endings[index]]
        return self._first + self._endings[index]

    def joined(self) -> bytes:
        """Return all deltas in one, which is cheaper than making each."""
        return self._first + self._first.join(self._endings) if self._endings else b""


class Seen(msgspec.Struct, gc=False):
    """What is remembered of a conversation between two requests of it.

    ``messages`` is what its items say in looprig's words (one item may be several messages, or none), ``state`` what
    the rules of order know after the last item; ``open`` and ``begins`` are for `opened`: a body up to the end of its
    list, and where in it the list begins. Only a request that was accepted is remembered.
    """

    messages: list[Message] = []
    state: Any = None
    open: bytes | memoryview = b""
    begins: int = 0


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A request that breaks no rule.

    ``fields`` holds all of the body but its list of items; ``messages`` the whole conversation in looprig's words,
    system text first where the provider has it apart. ``stream`` says whether events are wanted. ``context`` is what
    the provider itself needs again to answer.
    """

    fields: Mapping[str, Any]
    model: str
    messages: list[Message]
    stream: bool
    context: Any = None


class Provider(Protocol):
    """One provider's API. ``name`` is ``openai-chat``, ``openai-responses``, ``anthropic`` or ``gemini``."""

    name: str

    def receive(self, raw: bytes, seen: Seen, model: str | None = None) -> Received:
        """Read and check the body of a request, in the provider's order of precedence; remember it in *seen*.

        ``model`` is the one named in the path, where the API has it there.

        Raises:
            Refused: with what the provider answers.
        """
        ...

    def judge(self, messages: Sequence[Message], start: int, seen: Seen) -> Problem | None:
        """Say whether the provider would take *messages*, of which those before *start* were accepted before.

        This is the in-process form: the messages are spelled as the provider wants them, and its rules about the
        conversation's shape are asked. ``seen`` is the caller's, and changes only where the answer is None.
        """
        ...

    def answer(self, said: Answer, received: Received) -> bytes:
        """Return the body of a response."""
        ...

    def stream(self, said: Answer, received: Received) -> Stream:
        """Return the events of a streamed response."""
        ...

    def problem(self, problem: Problem, request_id: str) -> bytes:
        """Return the body of an error."""
        ...

    def broken_off(self, problem: Problem) -> bytes:
        """Return the event of an error that comes after the status 200 was sent."""
        ...

    def fault(self, kind: str, **figures: Any) -> Problem:
        """Return a fault that is no fault of the request.

        Kinds: ``bad_request``, ``bad_key``, ``not_found``, ``rate_limit`` (figures ``limit``, ``used``,
        ``requested``, ``retry_s``), ``quota``, ``server_error``, ``overloaded``, ``context_overflow`` (figures
        ``window``, ``tokens``), ``too_large``, ``timeout``.
        """
        ...

    def headers(self, request_id: str) -> Mapping[str, str]:
        """Return the headers of every response, limits apart."""
        ...

    def limit_headers(self, limits: Mapping[str, tuple[int, int, float]]) -> Mapping[str, str]:
        """Return the headers that tell (limit, remaining, reset_s) of ``requests`` and ``tokens``."""
        ...


class Body(msgspec.Struct, frozen=True):
    """The body of a request, its list of items apart.

    ``new`` is the JSON of the items that *seen* does not have, or None where the body has no such list; ``extends``
    says whether there are others before them. ``open`` and ``begins`` are for the `Seen` of an accepted request.
    """

    fields: dict[str, Any]
    new: bytes | None
    extends: bool = False
    open: bytes | memoryview = b""
    begins: int = 0


def opened(raw: bytes, key: str, seen: Seen) -> Body:
    """Decode the body of a request whose list *key* mostly has grown since *seen*, and only what is new of it.

    One comparison of memory says whether the body begins as the one before, up to the end of its list. Then the
    old items are cut out before it is decoded, and a number stands for them, so that it can be seen in which list they
    were: a body may have another list of this name deep inside.

    Raises:
        msgspec.DecodeError: where the body is no JSON object.
    """
    if seen.open and raw.startswith(seen.open):
        body = _extending(raw, key, seen)
        if body is not None:
            return body
    fields = _FIELDS.decode(raw)
    found = fields.pop(key, None)
    if found is None:
        return Body(_decoded(fields), None)
    items = bytes(found)
    begins = _begin_of(raw, key, items) if items.startswith(b"[") else 0
    open_, begins = _kept(raw, begins, begins + len(items))
    return Body(_decoded(fields), items, False, open_, begins)


def _extending(raw: bytes, key: str, seen: Seen) -> Body | None:
    """Decode a body that begins as the one before; None where the list that goes on there is another one."""
    begins, common = seen.begins, len(seen.open)
    fields = _FIELDS.decode(b"%b[%b%b" % (raw[:begins], _STAND_IN, raw[common:]))
    items = bytes(fields.pop(key, b""))
    if not items.startswith(b"[" + _STAND_IN):
        return None
    new = items[len(_STAND_IN) + 1 :].lstrip(_SPACE).removeprefix(b",")
    end = common + len(items) - len(_STAND_IN) - 1
    return Body(_decoded(fields), b"[" + new, True, *_kept(raw, begins, end))


def _begin_of(raw: bytes, key: str, items: bytes) -> int:
    """Return where the list begins in the body, or 0 where that cannot be told."""
    name = _quoted(key)
    at = raw.find(name)
    for begins in (at + len(name) + 1, at + len(name) + 2):  # as most clients write it
        if at >= 0 and raw.startswith(items, begins) and raw[at + len(name) : begins].rstrip() == b":":
            return begins
    while at >= 0:
        after = raw.find(b"[", at)
        if after >= 0 and raw.startswith(items, after) and raw[at + len(name) : after].strip(_SPACE) == b":":
            return after
        at = raw.find(name, at + 1)
    return 0


@lru_cache(maxsize=16)
def _quoted(key: str) -> bytes:
    return b'"%b"' % key.encode()


def _kept(raw: bytes, begins: int, end: int) -> tuple[bytes | memoryview, int]:
    """Return what a `Seen` keeps of a body, uncopied; nothing where the list is empty, as no comma would follow it."""
    last = end - 1
    while begins and raw[last - 1] in _SPACE:
        last -= 1
    return (memoryview(raw)[:last], begins) if begins and last > begins + 1 else (b"", 0)


def _decoded(fields: dict[str, msgspec.Raw]) -> dict[str, Any]:
    decode = _ANY.decode
    return {name: decode(value) for name, value in fields.items()}


_STAND_IN = b"7305861962548302917"
_SPACE = b" \n\r\t"
_ANY = msgspec.json.Decoder()
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
