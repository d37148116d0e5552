"""Which tools ran, with what, and who allowed it."""

from __future__ import annotations

from collections.abc import Iterator

from looprig.invariants.rule import Judgements, Rule, named
from looprig.messages import ToolCall
from looprig.observe import RequestView, TurnView, same_arguments
from looprig.scenario import Place, PlannedCall, tool_call
from looprig.toolbox import TOOLBOX, conflict, resources
from looprig.trace import ToolStarted


def every_call_is_answered_once(view: TurnView) -> Judgements:
    """Each tool call gets exactly one result before its turn is answered."""
    if view.ended is None or view.ended.status != "answered":
        return
    for reply, entry in view.asking:
        if reply is view.replies[-1]:
            continue  # the loop stopped here: no request can show what became of these calls
        for call, count in zip(entry.message.tool_calls, entry.answered or (), strict=True):
            yield None if count == 1 else f"{call.name} {call.id} was answered {count} times"


def only_planned_calls_run(view: TurnView) -> Judgements:
    """A tool runs only as the model asked for it: malformed calls and unknown tools do not run in another shape."""
    for run in view.runs:
        planned = _planned(view, run)
        if planned is None:
            yield f"{run.name} ran with {run.arguments[:60]}; the model asked for no such call in this turn"
        elif planned.name != run.name:
            yield f"{run.name} ran where the model asked for {planned.name}"
        else:
            yield None


def _planned(view: TurnView, run: ToolStarted) -> PlannedCall | None:
    if run.turn == -1:
        return _without_place(view, run)
    if run.turn != view.turn or not 0 <= run.round < len(view.plan.rounds):
        return None
    calls = view.plan.rounds[run.round].calls
    planned = calls[run.call] if 0 <= run.call < len(calls) else None
    return planned if planned is not None and _may_run(planned, run) else None


def _without_place(view: TurnView, run: ToolStarted) -> PlannedCall | None:
    """Find a call whose arguments the scenario writes itself, or leaves out: a loop may run that as one with none."""
    calls = [call for planned in view.plan.rounds for call in planned.calls if call.name == run.name]
    return next((call for call in calls if call.arguments is not None and _may_run(call, run)), None)


def _may_run(planned: PlannedCall, run: ToolStarted) -> bool:
    return planned.arguments is None or same_arguments(planned.arguments, run.arguments)


def denied_calls_never_run(view: TurnView) -> Judgements:
    """A call whose approval was denied never runs."""
    denied = {
        (approval.round, approval.call): approval.name
        for approval in view.approvals
        if not approval.granted and approval.round >= 0
    }
    for place, name in denied.items():
        ran = any((run.round, run.call) == place for run in view.runs)
        yield f"{name} (round {place[0]}, call {place[1]}) ran although it was denied" if ran else None


def asked_calls_run_once(view: TurnView) -> Judgements:
    """Each well-formed, known and allowed call runs, and runs once.

    Safety alone is not enough: a loop that never runs its tools breaks nothing else. A destructive call that
    the loop refuses by itself, without asking, is not judged. A loop that promises skips_dependants may leave out
    what conflicts with an earlier call of the round that failed, was refused or left out, and nothing else.
    """
    if view.ended is None or view.ended.status != "answered":
        return
    runs: dict[tuple[int, int], int] = {}
    for run in view.runs:
        runs[run.round, run.call] = runs.get((run.round, run.call), 0) + 1
    for place, planned, optional in _due(view):
        count = runs.get((place.round, place.call), 0)
        yield (
            None
            if count == 1 or (optional and not count)
            else f"{planned.name} (round {place.round}, call {place.call}) ran {count} times"
        )


def _due(view: TurnView) -> Iterator[tuple[Place, PlannedCall, bool]]:
    """Yield the calls that must have run, of the replies whose results the model has seen; True with those that may."""
    asked = {(approval.round, approval.call): approval.granted for approval in view.approvals}
    for reply, _ in view.asking:
        if reply is view.replies[-1] or reply.turn != view.turn:
            continue
        optional = _dependants(view, reply.round) if view.session.contract.skips_dependants else set()
        for number, planned in enumerate(view.plan.rounds[reply.round].calls):
            allowed = asked.get((reply.round, number), not _is_destructive(planned.name))
            if _well_formed(planned) and allowed:
                yield Place(view.session.number, view.turn, reply.round, number), planned, number in optional


def _well_formed(planned: PlannedCall) -> bool:
    return planned.name in TOOLBOX and planned.arguments is None


def _dependants(view: TurnView, round_: int) -> set[int]:
    """Return the calls of a round that conflict with an earlier one that did not run to a good end."""
    failed: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    found = set()
    for number, planned in enumerate(view.plan.rounds[round_].calls):
        # What a call touches whose arguments the scenario writes itself, only its tool knows.
        touches = resources(planned.name if _well_formed(planned) else "", planned.inputs)
        if any(conflict(each, touches) for each in failed):
            found.add(number)
        end = view.ends.get((round_, number))
        if end.outcome != "ok" if end is not None else _well_formed(planned):
            failed.append(touches)
    return found


def _is_destructive(name: str) -> bool:
    return name in TOOLBOX and TOOLBOX[name].category == "destructive"


def arguments_arrive_unaltered(view: TurnView) -> Judgements:
    """A tool gets the arguments that the model wrote."""
    for run in view.runs:
        planned = _planned(view, run)
        if planned is not None and planned.name == run.name and run.turn == view.turn:
            written = tool_call(planned, Place(view.session.number, run.turn, run.round, run.call))
            yield (
                None
                if _same(written, run)
                else f"{run.name} got {run.arguments[:80]}; the model wrote {written.arguments[:80]}"
            )


def _same(written: ToolCall, run: ToolStarted) -> bool:
    return same_arguments(written.arguments, run.arguments)


def destructive_calls_are_approved_first(view: TurnView) -> Judgements:
    """A destructive tool runs only after its approval was granted.

    Judged where the loop promises asks_approval.
    """
    if not view.session.contract.asks_approval:
        return
    granted = {(approval.round, approval.call) for approval in view.approvals if approval.granted}
    for run in view.runs:
        if _is_destructive(run.name):
            approved = (run.round, run.call) in granted or (run.round < 0 and _is_granted(view, run.name))
            yield None if approved else f"{run.name} ran without approval"


def _is_granted(view: TurnView, name: str) -> bool:
    """Whether any call of the tool was granted, for a run whose arguments do not say which call it is."""
    return any(approval.granted and approval.name == name for approval in view.approvals)


def results_join_in_call_order(view: RequestView) -> Judgements:
    """The results of one reply stand in the order of its calls, whichever tool was done first."""
    for entry in view.added:
        if entry.kind == "result" and entry.owner is not None and entry.index > 0:
            before = view.entries[entry.index - 1]
            if before.owner is entry.owner:
                late = before.call > entry.call
                yield f"{named(before)} stands before {named(entry)}, which was asked for earlier" if late else None


RULES = (
    Rule("LR141", every_call_is_answered_once, "turn", "LR144", "notes (reliability) PAIRING"),
    Rule("LR142", only_planned_calls_run, "turn", "LR144", "notes (reliability) ONLY_VALID_CALLS"),
    Rule("LR143", denied_calls_never_run, "turn", "LR144", "langchain-ai/langchain#37092"),
    Rule("LR144", asked_calls_run_once, "turn", "LR142", "notes (reliability) MUST_RUN, EXACTLY_ONCE"),
    Rule("LR145", arguments_arrive_unaltered, "turn", "LR144", "notes (reliability) ARGS_INTACT"),
    Rule("LR146", destructive_calls_are_approved_first, "turn", "LR144", "notes (reliability) F33"),
    Rule("LR147", results_join_in_call_order, "request", "LR141", "notes I11"),
)
