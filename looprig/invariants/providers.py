"""What the providers that a loop is made for would answer to its requests: their rules of order, in the process."""

from __future__ import annotations

from looprig.invariants.rule import Judgements, Rule
from looprig.messages import Message
from looprig.observe import RequestView

LOOK_BACK = 1_000
"""A request that was refused is judged again each time that it grows, until so many messages are new since the last
that was accepted: a history that stays broken would cost its whole length at every request."""


class _Conversation:
    """A session's current request, of which *accepted* messages were in the last that the provider would take."""

    def __init__(self, name: str) -> None:
        from looprig.providers import PROVIDERS  # only here: most runs name no provider, and need not load their rules

        self.provider = PROVIDERS[name]
        self.messages: list[Message] = []
        self.forget()

    def forget(self) -> None:
        """Begin anew: the next request is judged as a whole."""
        from looprig.providers.base import Seen

        self.seen, self.accepted = Seen(), 0


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
    if name not in view.session.memory:
        view.session.memory[name] = _Conversation(name)
    known: _Conversation = view.session.memory[name]
    if view.same < known.accepted:
        known.forget()
    elif not view.cut and len(known.messages) - known.accepted > LOOK_BACK:
        return
    known.messages[view.same :] = [entry.message for entry in view.entries[view.same :]]
    problem = known.provider.judge(known.messages, known.accepted, known.seen)
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
