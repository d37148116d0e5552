"""What is sent is what was said: unaltered, in order, and of this conversation alone."""

from __future__ import annotations

import json
from html import escape

from looprig.invariants.rule import Judgements, Rule, head, named
from looprig.observe import UNSENDABLE, Entry, RequestView, TurnView, same_text
from looprig.scenario import Place, place_in, place_of, result_text


def request_is_what_was_said(view: RequestView) -> Judgements:
    """A request is an ordered, unaltered part of what was said; notes and the mask that the loop declares are exempt.

    Providers see no error when a message is rewritten, moved or invented: only the model does. A tool result that
    was sent may give way to the declared mask, and to no other text.
    """
    for entry in view.added:
        if entry.kind == "invented":
            yield f"nobody said {named(entry)}: {entry.message.content[:60]!r}"
        elif entry.kind in ("user", "assistant"):
            yield None
        elif entry.first_text is not None:
            yield _rewritten(view, entry)
    if view.cut or view.event.again:
        yield _moved(view)


def _rewritten(view: RequestView, entry: Entry) -> str | None:
    text = entry.message.content
    if text == view.session.contract.mask or hash(text) == entry.first_text:
        return None
    return f"{named(entry)} was sent before, and now reads {text[:60]!r}"


def _moved(view: RequestView) -> str | None:
    before: Entry | None = None
    for entry in view.entries:
        if entry.kind in ("system", "note", "invented"):
            continue
        if before is not None and head(entry).order < head(before).order:
            return f"{named(entry)} stands behind {named(before)}, which was said later"
        before = entry
    return None


def sessions_do_not_mix(view: RequestView) -> Judgements:
    """A request holds messages of its own conversation only."""
    for entry in view.judged:
        if entry.kind not in ("invented", "result"):
            continue
        place = place_in(entry.message.content) if entry.owner is None else None
        other = place is not None and place.session != view.session.number
        yield f"{named(entry)} belongs to session {place.session if place else ''}" if other else None
    if not view.same:
        yield None


def results_reach_the_model(view: RequestView) -> Judgements:
    """What a tool gave back is what the model reads.

    A loop may wrap, quote or cut a result, but the result's place and the first part of its text must arrive, once
    at least where the loop declares a mask.
    """
    for entry in view.added:
        place = _place_of_result(entry)
        if place is None or place.turn != view.turn.turn:
            continue
        if entry.first_text is not None and entry.message.content == view.session.contract.mask:
            continue
        ended = view.turn.ends.get((place.round, place.call))
        planned = view.turn.plan.rounds[place.round].calls[place.call]
        if ended is not None and ended.outcome == "ok" and planned.outcome in ("ok", "huge"):
            yield _lost(result_text(place, planned)[:200], entry)


def _place_of_result(entry: Entry) -> Place | None:
    """Return the place of the call that a result answers, read from the call's arguments."""
    if entry.kind != "result" or entry.owner is None:
        return None
    try:
        ref = json.loads(entry.owner.message.tool_calls[entry.call].arguments)["ref"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return place_of(ref)


def _lost(head: str, entry: Entry) -> str | None:
    head = UNSENDABLE.split(head)[0]
    content = entry.message.content
    quoted = (
        head,
        json.dumps(head)[1:-1],
        json.dumps(head, ensure_ascii=False)[1:-1],
        escape(head),
        escape(head, False),
    )
    if any(text in content for text in quoted):
        return None
    return f"{named(entry)} reads {content[:60]!r}; the tool gave back {head[:60]!r}"


def answer_is_delivered_unaltered(view: TurnView) -> Judgements:
    """What the model answered is what the user gets."""
    ended = view.ended
    if ended is None or ended.status != "answered" or not view.replies:
        return
    last = view.replies[-1]
    if last.message is not None and not last.message.tool_calls:
        same = same_text(last.message.content, ended.answer or "")
        yield (
            None
            if same
            else f"the model answered {last.message.content[:60]!r}; the user got {(ended.answer or '')[:60]!r}"
        )


def refused_text_leaves_no_trace(view: RequestView) -> Judgements:
    """A text that the loop refused never reaches the model.

    Judged at the first requests after a refusal.
    """
    refused = view.session.refused
    if refused and view.added:
        found = next((e for e in view.added if e.message.role == "user" and e.message.content in refused), None)
        yield None if found is None else f"a text that was refused is sent: {found.message.content[:60]!r}"


RULES = (
    Rule("LR131", request_is_what_was_said, "request", "LR133", "notes C04"),
    Rule("LR132", sessions_do_not_mix, "request", "LR133", "issue: strands-agents/harness-sdk#1176"),
    Rule("LR133", results_reach_the_model, "request", "LR131", "notes (reliability) RESULT_KEPT"),
    Rule("LR134", answer_is_delivered_unaltered, "turn", "LR151", "notes (reliability) ANSWER_KEPT"),
    Rule("LR135", refused_text_leaves_no_trace, "request", "LR151", "notes (reliability) F43"),
)
