"""What a trim may take away, and what it must leave.

The rules follow the predicates C01 to C20 that the project's study of 40 published trimmers scored, in their
conditional wording: a loop is never blamed for a fault that it was handed, nor for a turn that failed.
"""

from __future__ import annotations

from looprig.invariants.rule import Judgements, Rule, head, named
from looprig.observe import Entry, RequestView


def system_messages_are_kept(view: RequestView) -> Judgements:
    """Every system message so far is in every request, and those at the front stay there, in order.

    A lost system prompt gives no error, only a worse agent. A loss is counted once, at the request that shows it.
    """
    state = view.session
    for text in state.added_systems:
        yield f"the system message that the application added ({text[:40]!r}) is not in the request"
    if not state.systems:
        return
    if not view.cut:
        yield None
        return
    lost = [entry for entry in state.systems if not entry.kept]
    if lost:
        first = lost[0].message.content[:40]
        yield (
            f"{len(lost)} of {len(state.systems)} system messages are not in the request; the first lost is {first!r}"
        )
    elif [entry.index for entry in state.systems[: state.lead]] != list(range(state.lead)):
        yield "the system messages no longer stand at the front of the request in their order"
    else:
        yield None


def newest_user_message_is_kept(view: RequestView) -> Judgements:
    """The newest user message is in every request of its turn.

    Without it the model does not know what it is asked.
    """
    user = view.session.newest_user
    if user is not None:
        yield None if user.kept else f"{named(user)} is not in the request"


def current_group_is_kept(view: RequestView) -> Judgements:
    """The group whose results have just arrived is in the request.

    Without it the model asks for the same tools again, for ever.
    """
    reply = view.session.newest_reply
    if reply is not None and reply.message.tool_calls:
        yield None if reply.kept else f"{named(reply)}, just answered, is not in the request"


def starts_with_user(view: RequestView) -> Judgements:
    """The first message that is not a system message is a user's.

    Anthropic and Gemini reject anything else.
    """
    if not view.cut and view.same:
        yield None
        return
    first = next((entry for entry in view.entries if entry.message.role != "system"), None)
    if first is not None:
        yield None if first.message.role == "user" else f"the conversation starts with {named(first)}"


def stays_within_promised_messages(view: RequestView) -> Judgements:
    """No request has more messages than the loop promises, unless what must be kept alone has more.

    Judged where the loop promises messages_max.
    """
    limit = view.session.contract.messages_max
    if limit is not None:
        size = len(view.entries)
        if size <= limit or _needed(view)[0] > limit:
            yield None
        else:
            yield f"{size} messages are sent; the loop promises at most {limit}"


def stays_within_promised_tokens(view: RequestView) -> Judgements:
    """No request has more tokens than the loop promises, unless what must be kept alone has more.

    Judged where the loop promises tokens_max.
    """
    limit = view.session.contract.tokens_max
    if limit is not None:
        if view.tokens <= limit or _needed(view)[1] > limit:
            yield None
        else:
            yield f"{view.tokens} tokens are sent; the loop promises at most {limit}"


def _needed(view: RequestView) -> tuple[int, int]:
    """Return messages and tokens of what no trim may drop: system messages, newest user message, newest unit."""
    state = view.session
    kept = [entry for entry in view.entries if entry.kind in ("system", "note")]
    if state.newest_user is not None:
        kept.append(state.newest_user)
    reply = state.newest_reply
    if reply is not None:
        kept.append(reply)
        kept += [entry for entry in view.entries if entry.owner is reply]
    return len(kept), sum(entry.tokens for entry in kept)


def trims_only_above_its_trigger(view: RequestView) -> Judgements:
    """Nothing is dropped while the history is within the loop's trigger.

    Judged where the loop promises a trigger.
    """
    trigger = view.session.contract.trigger
    if trigger is not None and view.before <= trigger:
        yield (
            f"{named(view.dropped[0])} was dropped from at most {view.before} messages; the trigger is {trigger}"
            if (view.dropped)
            else None
        )


def kept_part_is_a_suffix(view: RequestView) -> Judgements:
    """What is kept is the newest part: no unit is dropped while an older one is kept.

    System messages, notes and the newest user message are apart.
    """
    if not view.dropped:
        return
    gone = _units_dropped(view)
    newest_gone = max(gone, key=_age, default=None)
    if newest_gone is None:
        return
    # The user message of the request before may be left from a trim that had to keep it.
    apart = view.session.user_before
    kept = (entry for entry in view.entries if _bound(view, entry) and entry is not apart)
    older = next((entry for entry in kept if _before(entry, newest_gone)), None)
    yield None if older is None else f"{named(newest_gone)} was dropped, but {named(older)}, which is older, was kept"


def _bound(view: RequestView, entry: Entry) -> bool:
    """Whether *entry* is one of those that are kept or dropped by age."""
    return (
        entry.kind in ("user", "assistant", "result") and entry is not view.session.newest_user and not entry.forgiven
    )


def _before(entry: Entry, other: Entry) -> bool:
    """Whether *entry*'s unit is older than *other*'s; the parts of one group are of one age."""
    return head(entry).order < head(other).order


def _age(entry: Entry) -> tuple[int, int]:
    return head(entry).order, entry.order


def _units_dropped(view: RequestView) -> list[Entry]:
    return [entry for entry in view.dropped if _bound(view, entry)]


def trim_is_idempotent(view: RequestView) -> Judgements:
    """Trimming what was just trimmed changes nothing.

    Judged where the loop offers its trim as a pure function, on the history of each cut.
    """
    if view.probe is not None:
        yield view.probe.not_idempotent or None


def trim_leaves_its_input_alone(view: RequestView) -> Judgements:
    """A trim does not change the list that it is given.

    Judged where the loop offers its trim as a pure function.
    """
    if view.probe is not None:
        yield view.probe.input_changed or None


def trim_is_deterministic(view: RequestView) -> Judgements:
    """The same history is trimmed to the same messages.

    Judged where the loop offers its trim as a pure function.
    """
    if view.probe is not None:
        yield view.probe.not_deterministic or None


def newest_message_is_kept(view: RequestView) -> Judgements:
    """A request ends in what the model has to answer: the newest user message or the newest results."""
    last = next((entry for entry in reversed(view.entries) if entry.message.role != "system"), None)
    state = view.session
    if last is None:
        return
    reply = state.newest_reply
    if reply is not None and reply.message.tool_calls:
        yield None if last.owner is reply else f"the request ends in {named(last)}, not in the newest results"
    elif reply is None:
        yield (
            None if last is state.newest_user else f"the request ends in {named(last)}, not in the newest user message"
        )


def request_is_not_empty(view: RequestView) -> Judgements:
    """A request has more than system messages."""
    if view.cut or not view.same:
        talk = any(entry.message.role != "system" for entry in view.entries)
        yield None if talk else f"only system messages are left of {view.before} messages"
    else:
        yield None


def trim_is_not_wasteful(view: RequestView) -> Judgements:
    """A trim drops no more than its target needs: the next older piece would not have fit.

    The next piece is a whole turn where an older turn was cut, else a unit of the current turn.
    Judged where the loop promises a target.
    """
    target = view.session.contract.target
    gone = _units_dropped(view)
    if target is None or not gone:
        return
    newest = max(gone, key=_age)
    piece = [entry for entry in view.gone if entry.turn >= newest.turn]
    if any(entry.forgiven for entry in piece):
        return  # a turn that failed had to fit first, and nobody knows what the loop had kept of it
    if newest.turn == view.session.turn:
        piece = [entry for entry in piece if head(entry) is head(newest)]
    # Results that were dropped before they were ever sent have to fit too.
    size = len(piece) + sum(entry.answered.count(0) for entry in piece if entry.answered)
    yield (
        f"{len(view.entries)} messages are sent; the {size} messages of {named(newest)} would have fit the target "
        f"of {target}"
        if len(view.entries) + size <= target
        else None
    )


def trim_makes_progress(view: RequestView) -> Judgements:
    """After a trim the history is within its limit again, unless what must be kept alone is above it.

    The limit is the promised messages_max, or the trigger where there is none. A trim that leaves its trigger on
    runs at every step and never gets anywhere.
    Judged where the loop promises a trigger.
    """
    contract = view.session.contract
    if contract.trigger is None or not view.dropped:
        return
    limit = max(contract.trigger, contract.messages_max or 0)
    size = len(view.entries) - sum(1 for entry in view.added if entry.kind != "note")
    stuck = size > limit and _needed(view)[0] <= limit
    yield f"{size} messages are left after a trim; the limit is {limit}" if stuck else None


def at_most_one_note(view: RequestView) -> Judgements:
    """A request has at most one message of each kind that the loop makes by itself (a summary, a retrieved context).

    Judged where a request has a note that the loop declares.
    """
    notes = view.session.notes
    if notes:
        name, most = notes.most_common(1)[0]
        yield None if most == 1 else f"{most} messages of the loop's own making, named {name!r}, are in one request"


RULES = (
    Rule("LR101", system_messages_are_kept, "request", "LR107", "notes C01"),
    Rule("LR102", newest_user_message_is_kept, "request", "LR152", "notes C05"),
    Rule("LR103", current_group_is_kept, "request", "LR153", "notes C11"),
    Rule("LR104", starts_with_user, "request", "LR113", "notes C06; Anthropic and Gemini answer 400"),
    Rule("LR105", stays_within_promised_messages, "request", "LR115", "notes C07"),
    Rule("LR106", stays_within_promised_tokens, "request", "LR115", "notes C07"),
    Rule("LR107", trims_only_above_its_trigger, "request", "LR105", "notes C09"),
    Rule("LR108", kept_part_is_a_suffix, "request", "LR112", "notes C10"),
    Rule("LR109", trim_is_idempotent, "request", "LR116", "notes C08"),
    Rule("LR110", trim_leaves_its_input_alone, "request", "LR116", "notes C13"),
    Rule("LR111", trim_is_deterministic, "request", "LR116", "notes C14"),
    Rule("LR112", newest_message_is_kept, "request", "LR152", "notes C15"),
    Rule("LR113", request_is_not_empty, "request", "LR152", "notes C16; every provider answers 400"),
    Rule("LR115", trim_is_not_wasteful, "request", "LR105", "notes C18"),
    Rule("LR116", trim_makes_progress, "request", "LR115", "notes C19"),
    Rule("LR117", at_most_one_note, "request", "LR115", "notes C20"),
)
