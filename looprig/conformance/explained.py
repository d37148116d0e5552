"""Why a cell differs from the study's, and why some rule has no short case: what was found by looking into each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from looprig.conformance.data import Example, TrimmerResult
from looprig.conformance.study import Compared, percent

UNEXPLAINED = "not explained yet"

OTHER = "other histories"

RARE = 2.0
"""Up to this percentage a rule may well be broken by histories that the other side does not have."""

_LINES = "it cuts a text at the ends of its lines, and the giants here are one line"
_REPAIRS = "the agent adds a result for each call that has none, and many short histories here end in such a call"
_OVERWRITES = (
    "the old version overwrites the newest result before it trims, so that trimming again finds other messages"
)
_FIRST_SYSTEM = "it gives back the first system message alone, also where there is nothing to trim, as in S S"
_EARLY_IDS = "this version writes ids into all messages before it looks at the trigger"
_GROUPS = "it writes its groups into the messages that it is given, whether it drops any or not"
_GUESSED = "the summary is a little longer than the tokens that are set aside for it"
_NOTE_ON_TOP = "here head and tail fill the limit, and the note comes on top"
_FILLS = "here head and tail together are the limit, so that nothing is dropped below it"
_REACHED = "it trims once its limit is reached, and not only once it is passed"

WHY: Mapping[tuple[str, str], str] = {
    ("trim_messages (allow_partial)", "C04"): _LINES,
    ("history processor in Agent.run", "C04"): _REPAIRS,
    ("history processor in Agent.run", "C07"): _REPAIRS,
    ("SlidingWindowConversationManager", "C08"): _OVERWRITES,
    ("AgentSession.get_messages(last_n_runs)", "C09"): _FIRST_SYSTEM,
    ("SummarizationMiddleware", "C13"): _EARLY_IDS,
    ("TruncationStrategy", "C13"): _GROUPS,
    ("SlidingWindowStrategy", "C13"): _GROUPS,
    ("Memory", "C09"): _REACHED,
    ("summarize_messages", "C07"): _GUESSED,
    ("HeadAndTailChatCompletionContext", "C07"): _NOTE_ON_TOP,
    ("HeadAndTailChatCompletionContext", "C09"): _FILLS,
}
"""By trimmer and number of the rule."""

_BETWEEN = "it takes two groups, somebody who speaks between them, and one result above the limit"
_STILL_WAITS = "it takes as many results as the limit, one more, and a call that still waits"
_OPEN_CALL = "it takes a result that comes after somebody has spoken, a turn, and an open call"
_AGAIN = "a whole turn has to lie between the two calls with the same id"
_THIRD_TURN = "it takes two turns with calls, and a third under way"
_BATCH = "it takes a batch of two and a turn that would still have fit"
_FURTHER_DOWN = "the window counts system messages that stand further down, and the limit here counts none"
_ONE_BY_ONE = "only hundreds of messages, put one by one into its database, take longer than the five seconds of a call"
_IN_A_TURN = "it never trims inside a turn, and the time to look for a shorter one was over"

_BY_EVENTS = ("SlidingWindowPolicy", "TokenBudgetPolicy", "TailWindowCompact")

LONG: Mapping[tuple[str, str], str] = {
    **{(name, note): _AGAIN for name in _BY_EVENTS for note in ("C02", "C12", "OA")},
    ("ChatHistoryMemory(window_size)", "C09"): _FURTHER_DOWN,
    ("Memory", "C17"): _ONE_BY_ONE,
    ("Memory", "C19"): _IN_A_TURN,
    ("ChatMemoryBuffer", "C19"): _THIRD_TURN,
    ("TokenLimitedChatCompletionContext", "C18"): _BATCH,
    ("filter_tool_calls", "C10"): _BETWEEN,
    ("filter_tool_calls", "C18"): _STILL_WAITS,
    ("filter_tool_calls", "C19"): _STILL_WAITS,
    ("SlidingWindowCompaction", "C19"): _OPEN_CALL,
}
"""As above, where a rule is broken by long histories alone."""


def why(cell: Compared) -> str:
    """Say why a cell differs from the study's: what was found out, or else what its smallest case shows."""
    found = WHY.get((cell.trimmer.name, cell.note))
    if found is not None:
        return found
    ours = cell.trimmer.cells.get(cell.code)
    if ours is not None and ours.example is not None and (kind := kind_of(ours.example)):
        return f"{kind}, as in {ours.example.history}"
    if cell.verdict == "other share":
        return OTHER
    theirs = percent(cell.theirs) or 0.0
    if ours is None or not ours.broken:
        return "rare in the study, by histories that are not among these" if theirs <= RARE else UNEXPLAINED
    if ours.share * 100 <= RARE and ours.example is not None:
        return f"rare here: {ours.example.history} at {ours.example.limit}"
    return UNEXPLAINED


def kind_of(example: Example) -> str:
    """Name what is unusual about a case; an empty text where nothing is."""
    letters = example.history.split()
    if "=" in example.history:
        return "ids that are used again"
    if "!" in example.history:
        return "a giant message"
    if any(one[0] in "UA" and other == "T" for one, other in pairwise(letters)):
        return "a result that comes after somebody has spoken again"
    return ""


def why_long(trimmer: TrimmerResult, note: str) -> str:
    """Say why a rule has no case that is short."""
    return LONG.get((trimmer.name, note), UNEXPLAINED)
