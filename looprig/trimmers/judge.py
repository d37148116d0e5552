"""The rules of a trim, as pure functions of what was given, what came back, and the contract.

A rule yields None where it was judged and holds, a reason where it does not, and nothing where it does not apply.
Rules are relational: a trimmer is never blamed for a fault that it was handed. Each has the code of the invariant
of the same idea (`looprig.invariants`); ``note`` is its number in the study of 40 published trimmers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from looprig.messages import Message
from looprig.trimmers.trial import Trial
from looprig.trimmers.validity import refuses

Judgements = Iterator[str | None]


def system_messages_are_kept(trial: Trial) -> Judgements:
    """The system messages at the front stay there, in order."""
    if trial.lead:
        lost = list(trial.result[: trial.lead]) != list(trial.given[: trial.lead])
        yield "the system messages are not at the front" if lost else None


def no_result_without_its_call(trial: Trial) -> Judgements:
    """No tool result is left without the call that it answers."""
    if not trial.before.owner:
        return
    for at, message in enumerate(trial.result):
        was = trial.at[at]
        if message.role == "tool" and trial.after.is_orphan(at) and (was is None or not trial.before.is_orphan(was)):
            yield f"the result of {trial.result[at].tool_call_id} is left without its call"
            return
    yield None


def no_call_without_its_results(trial: Trial) -> Judgements:
    """No answered call is left without its results."""
    if not trial.before.owner:
        return
    was_waiting = set(trial.before.waiting)
    for at, id_ in trial.after.waiting:
        was = trial.at[at]
        if was is None or (was, id_) not in was_waiting:
            yield f"the call {id_} is left without its result"
            return
    yield None


def result_is_a_subsequence(trial: Trial) -> Judgements:
    """What is left is unaltered and in order; declared notes are exempt."""
    for message, was in zip(trial.result, trial.at, strict=True):
        if was is None and not trial.contract.is_note(message):
            yield f"a {message.role} message was moved, copied or rewritten: {message.content[:40]!r}"
            return
    yield None


def newest_user_message_is_kept(trial: Trial) -> Judgements:
    """The newest user message stays."""
    if trial.newest_user is not None:
        yield None if trial.newest_user in trial.kept else "the newest user message is gone"


def starts_with_user(trial: Trial) -> Judgements:
    """A conversation that starts with a user message still does."""
    first, left = _first(trial.given), _first(trial.result)
    if first is not None and first.role == "user" and left is not None:
        yield None if left.role == "user" else f"it starts with {'a call' if left.tool_calls else left.role}"


def _first(messages: Sequence[Message]) -> Message | None:
    return next((message for message in messages if message.role != "system"), None)


def stays_within_its_limit(trial: Trial) -> Judgements:
    """The result is within the limit, unless what must be kept alone is above it."""
    limit = trial.contract.limit
    if trial.size(trial.needed) <= limit:
        size = trial.contract.size(trial.result)
        yield None if size <= limit else f"{size:g} are left; the limit is {limit}"


def trim_is_idempotent(trial: Trial) -> Judgements:
    """Trimming what was just trimmed changes nothing."""
    if trial.again is not None:
        same = list(trial.again) == list(trial.result)
        yield None if same else f"trimmed again, {len(trial.result)} messages become {len(trial.again)}"


def nothing_is_dropped_within_the_limit(trial: Trial) -> Judgements:
    """A history within the limit is left as it is."""
    size = trial.contract.size(trial.given)
    if size <= trial.contract.limit:
        same = list(trial.result) == list(trial.given)
        yield None if same else f"a history of {size:g} was changed; the limit is {trial.contract.limit}"


def kept_part_is_a_suffix(trial: Trial) -> Judgements:
    """No unit is dropped while an older one is kept; system messages, the newest user message and pins are apart."""
    bound = [unit for unit in trial.units if not _is_apart(trial, unit)]
    if not bound:
        return
    older_is_kept = False
    for unit in bound:
        if older_is_kept and trial.kept.isdisjoint(unit):
            yield f"message {unit[0]} of the history was dropped, and an older one was kept"
            return
        older_is_kept = older_is_kept or trial.kept.issuperset(unit)
    yield None


def _is_apart(trial: Trial, unit: Sequence[int]) -> bool:
    return trial.given[unit[0]].role == "system" or unit[0] == trial.newest_user or not trial.pinned.isdisjoint(unit)


def pending_call_is_kept(trial: Trial) -> Judgements:
    """A call that still waits for results stays, with those that it has."""
    if trial.pending:
        yield None if trial.kept.issuperset(trial.pending) else "a call that waits for its results was dropped"


def group_is_kept_whole_or_dropped(trial: Trial) -> Judgements:
    """A call and its results stay together, unedited, or go together."""
    groups = [unit for unit in trial.units if len(unit) > 1]
    if not groups:
        return
    for group in groups:
        left = len(trial.kept.intersection(group))
        if left not in (0, len(group)):
            yield f"{left} of {len(group)} messages of a group are left"
            return
    yield None


def input_is_left_alone(trial: Trial) -> Judgements:
    """The list that was given, and its messages, are as they were."""
    if trial.touched is not None and trial.contract.mode != "inplace":
        yield trial.touched or None


def trim_is_deterministic(trial: Trial) -> Judgements:
    """Two fresh trimmers make the same of the same history."""
    if trial.twin is not None:
        yield None if list(trial.twin) == list(trial.result) else "a second trimmer made something else of it"


def newest_message_is_kept(trial: Trial) -> Judgements:
    """The result ends in what the history ends in."""
    if trial.given:
        ends = bool(trial.result) and trial.result[-1] == trial.given[-1]
        yield None if ends else "the newest message is not at the end"


def result_is_not_empty(trial: Trial) -> Judgements:
    """More than system messages is left."""
    if _first(trial.given) is not None:
        yield None if _first(trial.result) is not None else "nothing is left to answer"


def _conditional(provider: str, trial: Trial) -> Judgements:
    """A request that was valid before is valid after; one that was not is nobody's fault here."""
    if refuses(provider, trial.given) is None:
        yield refuses(provider, trial.result)


def openai_takes_it(trial: Trial) -> Judgements:
    """What OpenAI Chat Completions took before the trim it takes after it."""
    return _conditional("openai-chat", trial)


def anthropic_takes_it(trial: Trial) -> Judgements:
    """What Anthropic Messages took before the trim it takes after it."""
    return _conditional("anthropic", trial)


def gemini_takes_it(trial: Trial) -> Judgements:
    """What Gemini took before the trim it takes after it."""
    return _conditional("gemini", trial)


def trim_is_not_wasteful(trial: Trial) -> Judgements:
    """The newest piece that was dropped would not have fit: a turn, or a unit of the turn under way."""
    gone = [unit for unit in trial.units if not _is_apart(trial, unit) and trial.kept.isdisjoint(unit)]
    if not gone:
        return
    if any(_comes_in_late(trial, unit) for unit in gone):
        return  # nobody can say what would have fit without tearing it
    piece = gone[-1]
    if trial.newest_user is None or piece[0] < trial.newest_user:
        opened = next((at for at in range(piece[0], -1, -1) if trial.given[at].role == "user"), 0)
        piece = [at for at in range(opened, len(trial.given)) if at not in trial.kept]
    notes = [message for message, was in zip(trial.result, trial.at, strict=True) if was is None]
    would_be = trial.size(sorted(trial.kept.union(piece, trial.needed))) + trial.contract.size(notes)
    fits = would_be <= trial.contract.limit
    yield f"{len(piece)} messages more would have made {would_be:g} of {trial.contract.limit}" if fits else None


def _comes_in_late(trial: Trial, unit: Sequence[int]) -> bool:
    return any(trial.given[at].role == "user" for at in range(unit[0] + 1, unit[-1]))


def trim_makes_progress(trial: Trial) -> Judgements:
    """The result is above the limit by no more than the newest unit, or than what must be kept."""
    newest = next((unit for unit in trial.units if unit[-1] == len(trial.given) - 1), [])
    bound = max(trial.contract.limit, trial.size(trial.needed)) + trial.size(newest)
    size = trial.contract.size(trial.result)
    if trial.contract.size(trial.given) > trial.contract.limit:
        yield (
            None if size <= bound else f"{size:g} are left of {trial.contract.size(trial.given):g}; {bound:g} would do"
        )


def at_most_one_note(trial: Trial) -> Judgements:
    """At most one message is of the trimmer's own making."""
    notes = sum(map(trial.contract.is_note, trial.result))
    if notes:
        yield None if notes == 1 else f"{notes} notes are in one result"


def returns_a_history(trial: Trial) -> Judgements:
    """The trimmer returns within its time, and raises nothing, for every history."""
    yield None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a trim: the code of the invariant of the same idea, and its number in the study of trimmers."""

    code: str
    note: str
    judge: Callable[[Trial], Judgements]

    @property
    def name(self) -> str:
        """The sentence that must be true, as an identifier."""
        return self.judge.__name__

    @property
    def sentence(self) -> str:
        """The first line of the rule's docstring."""
        return (self.judge.__doc__ or "").strip().splitlines()[0]


TOTAL = "LR151"
"""The code of a trimmer that raises or hangs; the driver sees that, and judges nothing else of such a call."""

RULES: Mapping[str, Rule] = {
    rule.code: rule
    for rule in (
        Rule("LR101", "C01", system_messages_are_kept),
        Rule("LR121", "C02", no_result_without_its_call),
        Rule("LR122", "C03", no_call_without_its_results),
        Rule("LR131", "C04", result_is_a_subsequence),
        Rule("LR102", "C05", newest_user_message_is_kept),
        Rule("LR104", "C06", starts_with_user),
        Rule("LR105", "C07", stays_within_its_limit),
        Rule("LR109", "C08", trim_is_idempotent),
        Rule("LR107", "C09", nothing_is_dropped_within_the_limit),
        Rule("LR108", "C10", kept_part_is_a_suffix),
        Rule("LR103", "C11", pending_call_is_kept),
        Rule("LR114", "C12", group_is_kept_whole_or_dropped),
        Rule("LR110", "C13", input_is_left_alone),
        Rule("LR111", "C14", trim_is_deterministic),
        Rule("LR112", "C15", newest_message_is_kept),
        Rule("LR113", "C16", result_is_not_empty),
        Rule(TOTAL, "C17", returns_a_history),
        Rule("LR201", "OA", openai_takes_it),
        Rule("LR203", "AN", anthropic_takes_it),
        Rule("LR204", "GE", gemini_takes_it),
        Rule("LR115", "C18", trim_is_not_wasteful),
        Rule("LR116", "C19", trim_makes_progress),
        Rule("LR117", "C20", at_most_one_note),
    )
}


def judge(trial: Trial) -> dict[str, str | None]:
    """Return for each rule that applies to *trial* None, or why it is broken."""
    found: dict[str, str | None] = {}
    for code, rule in RULES.items():
        for because in rule.judge(trial):
            found[code] = because
    return found
