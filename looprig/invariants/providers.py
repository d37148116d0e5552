"""What the providers that a loop is made for would answer to its requests: their rules of order, in the process."""

from __future__ import annotations

from dataclasses import dataclass, field

from looprig.invariants.rule import Judgements, Rule
from looprig.messages import Message
from looprig.observe import RequestView
from looprig.providers import PROVIDERS
from looprig.providers.base import Seen

LOOK_BACK = 1_000
"""A request that was refused is judged again each time that it grows, until so many messages are new since the last
that was accepted: a history that stays broken would cost its whole length at every request."""


@dataclass(slots=True)
class _Conversation:
    """A session's current request, of which *accepted* messages were in the last that the provider would take."""

    messages: list[Message] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)
    accepted: int = 0


def openai_chat_would_accept(view: RequestView) -> Judgements:
    """OpenAI's Chat Completions would take the request.

    Judged where the contract names ``openai-chat`` in ``providers``. Every call has its result directly behind it, no
    result is without its call or there twice, and no id has more than 40 characters; any other order is legal.
    """
    return _judged("openai-chat", view)


def openai_responses_would_accept(view: RequestView) -> Judgements:
    """OpenAI's Responses would take the request.

    Judged where the contract names ``openai-responses`` in ``providers``. Calls and results are paired by their id,
    wherever they stand.
    """
    return _judged("openai-responses", view)


def anthropic_would_accept(view: RequestView) -> Judgements:
    """Anthropic's Messages would take the request.

    Judged where the contract names ``anthropic`` in ``providers``. System messages are put apart as adapters do it, and
    turns of one role are one turn; then results come first in the turn behind their calls, and ids are there once.
    """
    return _judged("anthropic", view)


def gemini_would_accept(view: RequestView) -> Judgements:
    """Gemini would take the request.

    Judged where the contract names ``gemini`` in ``providers``. System messages are put apart, and the results of a
    round are one turn; then calls come behind a user's turn or behind results, and there is a result for each of them.
    """
    return _judged("gemini", view)


def _judged(name: str, view: RequestView) -> Judgements:
    if name not in view.session.contract.providers:
        return
    known: _Conversation = view.session.memory.setdefault(name, _Conversation())
    if view.same < known.accepted:
        known.seen, known.accepted = Seen(), 0
    elif not view.cut and len(known.messages) - known.accepted > LOOK_BACK:
        return
    known.messages[view.same :] = [entry.message for entry in view.entries[view.same :]]
    problem = PROVIDERS[name].judge(known.messages, known.accepted, known.seen)
    if problem is None:
        known.accepted = len(known.messages)
        yield None
    else:
        yield f"{name} would answer HTTP {problem.status}: {problem.message}"


RULES = (
    Rule("LR201", openai_chat_would_accept, "request", "LR103", "OpenAI answers 400 to what breaks it"),
    Rule("LR202", openai_responses_would_accept, "request", "LR103", "OpenAI answers 400 to what breaks it"),
    Rule("LR203", anthropic_would_accept, "request", "LR103", "Anthropic answers 400 to what breaks it"),
    Rule("LR204", gemini_would_accept, "request", "LR103", "Gemini answers 400 to what breaks it"),
)
