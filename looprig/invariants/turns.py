"""How turns go on and end."""

from __future__ import annotations

from looprig.invariants.rule import Judgements, Rule
from looprig.observe import SessionView, TurnView

CANCEL_GRACE_S = 1.0
"""Seconds (of the run's clock) that a loop may take to tidy up after a cancellation."""


def every_turn_ends_as_it_should(view: TurnView) -> Judgements:
    """Every turn ends with an answer, unless its text may be refused, its model failed or it was cancelled.

    A turn that raises, hangs or ends in nothing is what the user sees as a broken loop. A loop may also raise
    where it has reached the rounds that it promises.
    """
    ended = view.ended
    if ended is None:
        return
    failed = any(reply.fault for reply in view.replies) or _is_cancelled(view) or _is_at_its_limit(view)
    match ended.status:
        case "answered":
            yield None if ended.answer or not view.plan.answer else "the turn ended without an answer"
        case "refused":
            yield None if view.plan.may_be_refused else f"the loop refused an ordinary text: {ended.error}"
        case "raised":
            yield None if failed else f"the turn raised {ended.error}"
        case "cancelled":
            yield (
                None if view.plan.cancel_after_s is not None else "the turn was cancelled, and nobody had asked for it"
            )
        case "stopped":
            yield f"the turn would not end: {ended.error}"


def _is_cancelled(view: TurnView) -> bool:
    after_s = view.plan.cancel_after_s
    is_async = "async" in view.session.offers  # a synchronous turn cannot be cancelled
    return is_async and after_s is not None and view.ended is not None and view.ended.at_s - view.started_s >= after_s


def _is_at_its_limit(view: TurnView) -> bool:
    limit = view.session.contract.rounds_max
    return limit is not None and view.requests - sum(1 for reply in view.replies if reply.fault) >= limit


def turn_does_not_start_over(view: TurnView) -> Judgements:
    """No round of a turn is asked for twice, unless its first request failed.

    A trim that drops the current turn makes the model begin it again, for ever.
    """
    done = -1
    for reply in view.replies:
        if reply.turn != view.turn or reply.round < 0:
            continue
        if reply.message is None:
            continue
        yield None if reply.round > done else f"round {reply.round} was asked for again after round {done}"
        done = max(done, reply.round)


def turn_is_played_to_its_end(view: TurnView) -> Judgements:
    """An answered turn has gone through all rounds of its script, up to the model's answer.

    Not judged where the model failed, or where the loop's own round limit ended the turn.
    """
    ended = view.ended
    if ended is None or ended.status != "answered" or any(reply.fault for reply in view.replies):
        return
    if _is_at_its_limit(view):
        return
    reached = max((reply.round for reply in view.replies if reply.turn == view.turn), default=-1)
    due = len(view.plan.rounds)
    yield None if reached == due else f"the turn was answered after {reached + 1} of {due + 1} model replies"


def rounds_are_bounded(view: TurnView) -> Judgements:
    """No turn asks the model more often than the loop promises.

    Judged where the loop promises rounds_max; requests that failed do not count.
    """
    limit = view.session.contract.rounds_max
    if limit is not None:
        failed = sum(1 for reply in view.replies if reply.fault)
        rounds = view.requests - failed
        yield None if rounds <= limit else f"the turn asked the model {rounds} times; the loop promises at most {limit}"


def model_failure_is_told(view: TurnView) -> Judgements:
    """A model failure that is not made good by a retry reaches the user, as an error or in the answer."""
    ended = view.ended
    if ended is None or not view.replies or view.replies[-1].fault is None or ended.status == "cancelled":
        return
    told = ended.status in ("raised", "stopped") or bool(ended.answer)
    yield None if told else f"the model failed ({view.replies[-1].fault}), and the user got an empty answer"


def cancellation_is_obeyed(view: TurnView) -> Judgements:
    """A turn that the application cancels ends soon, as cancelled.

    Judged for loops with a coroutine; a synchronous turn cannot be cancelled.
    """
    ended, after_s = view.ended, view.plan.cancel_after_s
    if ended is None or after_s is None or "async" not in view.session.offers:
        return
    took_s = ended.at_s - view.started_s
    late = took_s > after_s + CANCEL_GRACE_S
    by_itself = took_s <= after_s and not ended.own  # the answer came at the very moment
    swallowed = ended.status == "answered" and took_s >= after_s and not by_itself
    yield (
        f"the turn was cancelled after {after_s} s; it ended {ended.status} after {took_s:.1f} s"
        if (late or swallowed)
        else None
    )


def history_is_closed(view: SessionView) -> Judgements:
    """At the end of a session no call in the history is without its result.

    Judged where the loop offers its history.
    """
    if view.event.history is not None:
        calls = view.event.open_calls
        yield f"the history ends with calls that have no result: {', '.join(calls[:3])}" if calls else None


RULES = (
    Rule("LR151", every_turn_ends_as_it_should, "turn", "LR135", "notes C17"),
    Rule("LR152", turn_does_not_start_over, "turn", "LR153", "the spike of design.md, section 1"),
    Rule("LR153", turn_is_played_to_its_end, "turn", "LR152", "notes (reliability) MUST_RUN"),
    Rule("LR154", rounds_are_bounded, "turn", "LR153", "notes (reliability) ROUNDS"),
    Rule("LR155", model_failure_is_told, "turn", "LR151", "notes (reliability) REASON_SHOWN"),
    Rule("LR156", cancellation_is_obeyed, "turn", "LR151", "notes (reliability) CANCEL_SEEN"),
    Rule("LR157", history_is_closed, "session", "LR141", "langchain-ai/langgraph#6726"),
)
