"""Calls and their results: what every provider checks, and answers with HTTP 400 where it does not hold."""

from __future__ import annotations

from looprig.invariants.rule import Judgements, Rule, named
from looprig.observe import Entry, RequestView


def no_result_without_its_call(view: RequestView) -> Judgements:
    """Every tool result in a request stands behind the assistant message that asked for it.

    An orphaned result is what a trim between calls and results leaves; every provider answers 400.
    """
    for entry in view.judged:
        if entry.kind == "result":
            yield None if _has_call(view, entry) else f"{named(entry)} is sent without the call that it answers"


def _has_call(view: RequestView, entry: Entry) -> bool:
    owner = entry.owner
    return owner is not None and 0 <= owner.index < entry.index and view.entries[owner.index] is owner


def no_call_without_its_results(view: RequestView) -> Judgements:
    """Every tool call in a request has its result in the same request.

    A call that was never answered blocks the conversation for ever: each further request is rejected.
    """
    for entry in view.judged:
        if entry.message.tool_calls:
            yield _missing(view, entry)


def _missing(view: RequestView, entry: Entry) -> str | None:
    """Look for each call's result in the run of results behind the message, then anywhere behind it."""
    wanted = [call.id for call in entry.message.tool_calls]
    for follower in _results_behind(view, entry):
        if follower.message.tool_call_id in wanted:
            wanted.remove(follower.message.tool_call_id)
    if wanted:
        for follower in view.entries[entry.index + 1 :]:
            if follower.owner is entry and follower.message.tool_call_id in wanted:
                wanted.remove(follower.message.tool_call_id)
    return f"{named(entry)} is sent without the result of {', '.join(wanted[:3])}" if wanted else None


def _results_behind(view: RequestView, entry: Entry) -> list[Entry]:
    results: list[Entry] = []
    for index in range(entry.index + 1, len(view.entries)):
        follower = view.entries[index]
        if follower.message.role != "tool":
            break
        results.append(follower)
    return results


def results_stand_behind_their_call(view: RequestView) -> Judgements:
    """A group is adjacent: all results of a message's calls come directly behind it, with nothing between.

    OpenAI and Anthropic reject a user or system message between a call and its results.
    """
    for entry in view.judged:
        if entry.kind == "result" and _has_call(view, entry) and entry.owner is not None:
            between = view.entries[entry.owner.index + 1 : entry.index]
            stranger = next((other for other in between if other.message.role != "tool"), None)
            yield None if stranger is None else f"{named(stranger)} stands between {named(entry)} and its call"


def no_result_twice(view: RequestView) -> Judgements:
    """A call has one result in a request, not two."""
    for entry in view.judged:
        if entry.kind == "result" and entry.owner is not None and _has_call(view, entry):
            yield f"{named(entry)} is sent twice" if _earlier(view, entry) else None


def _earlier(view: RequestView, entry: Entry) -> bool:
    assert entry.owner is not None
    behind = view.entries[entry.owner.index + 1 : entry.index]
    return any(other.owner is entry.owner and other.call == entry.call for other in behind)


RULES = (
    Rule("LR121", no_result_without_its_call, "request", "LR141", "notes C02; OpenAI, Anthropic and Gemini answer 400"),
    Rule("LR122", no_call_without_its_results, "request", "LR144", "notes C03; OpenAI and Anthropic answer 400"),
    Rule("LR123", results_stand_behind_their_call, "request", "LR141", "notes C12; OpenAI and Anthropic answer 400"),
    Rule("LR124", no_result_twice, "request", "LR141", "notes C12; Anthropic answers 400"),
)
