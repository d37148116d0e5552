"""Anthropic's rules about the shape of a conversation.

Entries of one role in a row are one turn, and the rules are asked of turns: ``messages.N`` counts turns, and
``content.M`` counts the blocks of all their entries. `Walk` goes through the entries once; what it knows at the end
is remembered, so that a conversation which grew is walked on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from looprig.providers.anthropic_calm import calm
from looprig.providers.anthropic_items import (
    Content,
    Item,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    bad,
)
from looprig.providers.base import Refused

SIGNED = "looprig."
"""How the signatures of this server's own thinking blocks begin: these are verified, others are taken as they are."""


def signature(thinking: str) -> str:
    """Return the signature of a thinking block that this server made."""
    return SIGNED + hashlib.sha256(thinking.encode("utf-8", "surrogatepass")).hexdigest()


class Settings(NamedTuple):
    """What the model and the request allow and want: walked with others, a conversation is walked from its start."""

    prefill: bool = True
    system_inside: bool = False
    thinking: bool = False


class Walk:
    """What the rules know of a conversation after its last entry."""

    __slots__ = (
        "answered",
        "chain",
        "count",
        "fresh",
        "ids",
        "last",
        "role",
        "settings",
        "size",
        "thinking",
        "thoughts",
        "turn",
        "waiting",
    )

    def __init__(self, settings: Settings = Settings()) -> None:  # noqa: B008  it is immutable
        self.settings, self.thinking = settings, settings.thinking
        self.count = 0
        """Messages walked so far, where it is messages that are judged."""
        self.turn, self.role, self.size = -1, "", 0
        """The turn that the last entry belongs to: its number, its role, the blocks in it so far."""
        self.ids: set[str] = set()
        self.fresh: set[str] = set()
        """The ids of all calls of the requests before, and of this one: apart, because a refused one is forgotten."""
        self.waiting: list[str] = []
        self.answered: list[str] = []
        """The calls of the turn before that have no result yet, and those that have."""
        self.chain: tuple[int, str] | None = None
        """The turn that began the chain of tool calls under way, and the kind of its first block."""
        self.last: Any = None
        """The last block of the last assistant turn."""
        self.thoughts: list[tuple[int, Thinking | RedactedThinking]] = []
        """The thinking blocks of the last assistant turn with their numbers."""

    def onward(self) -> Walk:
        """Return a walk that goes on from here and leaves this one as it is."""
        copy = Walk(self.settings)
        copy.count, copy.turn, copy.role, copy.size = self.count, self.turn, self.role, self.size
        copy.ids, copy.chain, copy.last = self.ids, self.chain, self.last
        copy.waiting, copy.answered, copy.thoughts = self.waiting[:], self.answered[:], self.thoughts[:]
        return copy

    def accepted(self) -> Walk:
        """Say that the request was accepted: its calls count for the requests that follow."""
        if self.fresh:
            self.ids |= self.fresh
            self.fresh = set()
        if self.last.__class__ is ToolUse:
            self.last = _SOME_CALL  # a call's input holds on to the whole body
        return self

    def through(self, items: Sequence[Item], start: int = 0) -> None:
        """Walk through *items* from *start* on, and ask what holds at a conversation's end.

        Raises:
            Refused: with the first fault on the way.
        """
        start += self._calm(items, start)
        for item in islice(items, start, None):
            if item.role == "user":
                self.user(item.content)
            elif item.role == "assistant":
                self.assistant(item.content)
            else:
                self.system(item)
        self.end()

    def _calm(self, items: Sequence[Item], start: int) -> int:
        """Walk on as far as the conversation is of the usual kind; return how many entries that were."""
        if self.thinking or self.thoughts or self.role == "system" or (self.role and not self.size):
            return 0
        if self.role == "user" and self.waiting:
            return 0
        stretch = calm(items, start, self.role, self.waiting)
        calls = set(stretch.calls)
        if len(calls) != len(stretch.calls) or not calls.isdisjoint(self.ids):
            return 0  # which of them comes twice is found by the rules
        if stretch.walked:
            content = items[start + stretch.walked - 1].content
            self.turn += stretch.walked
            self.role, self.size = stretch.role, 1 if isinstance(content, str) else len(content)
            self.waiting, self.answered = stretch.waiting, stretch.answered
            self.last = content[-1] if stretch.role == "assistant" else self.last
            self.fresh |= calls
        return stretch.walked

    # The two that most entries go through are written for speed: what is usual is done in place.

    def user(self, content: Content) -> None:
        """Take the next entry, of the user."""
        if self.role != "user":
            if self.role == "assistant" and self.size and not self.thoughts:
                self.turn += 1
                self.role, self.size, self.answered = "user", 0, []
            else:
                self._open_user()
        if content.__class__ is str:
            if not content or content.isspace():
                self._no_text(content)
            else:
                self.size += 1
            return
        size, waiting, answered = self.size, self.waiting, self.answered
        for block in content:
            if block.__class__ is ToolResult:
                answer = block.tool_use_id
                if answer not in waiting or size != len(answered):
                    self._unexpected(answer, size)
                waiting.remove(answer)
                answered.append(answer)
            else:
                self._other(block, size)
            size += 1
        self.size = size

    def assistant(self, content: Content) -> None:
        """Take the next entry, of the assistant."""
        if self.role != "assistant":
            if self.role == "user" and self.size and not (self.waiting or self.thinking or self.thoughts):
                self.turn += 1
                self.role, self.size = "assistant", 0
            else:
                self._open_assistant()
        if content.__class__ is str:
            if not content or content.isspace():
                self._no_text(content)
                return
            content = [Text(text=content)]
        size = self.size
        for block in content:
            if block.__class__ is ToolUse:
                call = block.id
                if call in self.fresh or call in self.ids:
                    self._twice(size)
                self.fresh.add(call)
                self.waiting.append(call)
            elif block.__class__ is not Text or not block.text or block.text.isspace():
                self._other(block, size)
            size += 1
        if size != self.size:
            self.size = size
            self.last = block
            if self.thinking and self.chain is None:
                self.chain = self.turn, _kind(content[0])

    def system(self, item: Item) -> None:
        """Take the next entry, of the system."""
        if not self.settings.system_inside:
            # The text of the models that take none; whether they say it of one past the head too is not recorded.
            text = (
                'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter, '
                'not "system" as an input message role.'
            )
            raise Refused(bad("A9", text, pinned=self.turn < 0))
        if item.content == [] and item.output_config is not None:
            return  # it only directs, and may stand anywhere
        if self.turn < 0:
            text = (
                "messages.0: use the top-level 'system' parameter for the initial system prompt; the directive-only "
                "form (content: [] with output_config) is accepted at any position"
            )
            raise Refused(bad("A9", text))
        if self.role != "system":
            self._close()
            if self.role == "user" and not self.answered:
                self.chain = None
            self.turn, self.role, self.size = self.turn + 1, "system", 0
            self.answered = []
        blocks = [Text(text=item.content)] * bool(item.content) if isinstance(item.content, str) else item.content
        for block in blocks:
            self._other(block, self.size)
            self.size += 1

    def end(self) -> None:
        """Ask what has to hold where the conversation ends; nothing is changed, for it may go on."""
        if self.turn < 0:
            raise Refused(bad("A17", "messages: at least one message is required"))
        if self.role == "assistant":
            self._end_of_assistant()
        else:
            self._close()
            if self.thinking and self.role == "user" and self.answered:
                self._chain_begins_thinking()
        if self.thoughts:
            self._thoughts_unchanged()

    # What opens and closes a turn.

    def _open_user(self) -> None:
        if self.role == "assistant":
            self._full_assistant()
        elif self.role == "system":
            # The recorded text goes on behind the semicolon; which turn of a run of system turns it names is not known.
            text = f"messages.{self.turn}: role 'system' must precede an 'assistant' message or end the array; ..."
            raise Refused(bad("A10", text, pinned=False))
        self.turn += 1
        self.role, self.size = "user", 0
        self.answered = []

    def _open_assistant(self) -> None:
        if self.role == "user":
            if self.waiting:
                self._unanswered()
            if not self.size:
                self._empty_user()
            if not self.answered:
                self.chain = None
        elif self.role == "system":
            self._close()
        elif self.turn < 0:
            # Recorded in 2024; whether the models of 2026 still say so is not known.
            text = 'messages: first message must use the "user" role'
            raise Refused(bad("A7", text, pinned=not self.settings.system_inside))
        self.turn += 1
        self.role, self.size, self.last = "assistant", 0, None
        if self.thoughts:
            self.thoughts = []

    def _close(self) -> None:
        """The turn is over and another one follows, or a user turn ends the conversation."""
        if self.role == "user":
            if self.waiting:
                self._unanswered()
            if not self.size:
                self._empty_user()
        elif self.role == "assistant":
            self._full_assistant()
            if self.waiting:
                self._unanswered()
        elif not self.size:
            self._empty(pinned=False)  # the words are general, but of a system turn they are not recorded

    def _full_assistant(self) -> None:
        if not self.size:
            self._empty()
        if self.last.__class__ is Thinking or self.last.__class__ is RedactedThinking:
            text = f"messages.{self.turn}: The final block in an assistant message cannot be `thinking`."
            raise Refused(bad("A24", text, pinned=self.last.__class__ is Thinking))

    # Blocks that are not a call or a result where these belong.

    def _no_text(self, text: Any) -> None:
        if text:  # an empty text is no block, and a turn may do without it where another entry fills it
            self._other(Text(text=text), self.size)

    def _other(self, block: Any, size: int) -> None:
        kind = block.__class__
        if kind is Text:
            if not block.text or block.text.isspace():
                words = "contain non-whitespace text" if block.text else "be non-empty"
                raise Refused(bad("A14", f"messages: text content blocks must {words}"))
        elif kind is Thinking or kind is RedactedThinking:
            if self.role != "assistant":
                self._misplaced(block, size)
            self.thoughts.append((size, block))
        elif kind is ToolUse or kind is ToolResult:
            self._misplaced(block, size)

    def _misplaced(self, block: Any, size: int) -> None:
        # Real requests of this kind are refused too; the text is from memory.
        word, role = block.__struct_config__.tag, "user" if block.__class__ is ToolResult else "assistant"
        text = f"messages.{self.turn}.content.{size}: `{word}` blocks can only be in `{role}` messages"
        raise Refused(bad("A0", text, pinned=False))

    # What is said of each fault.

    def _empty(self, *, pinned: bool = True) -> None:
        text = "all messages must have non-empty content except for the optional final assistant message"
        raise Refused(bad("A13", f"messages.{self.turn}: {text}", pinned=pinned))

    def _empty_user(self) -> None:
        raise Refused(bad("A12", f"messages.{self.turn}: user messages must have non-empty content"))

    def _unanswered(self, rule: str = "A1", ids: list[str] | None = None) -> None:
        # That N is the turn with the calls, and not the one behind it, is an inference: of a recorded response the
        # request was never recorded with it.
        turn = self.turn if self.role == "assistant" else self.turn - 1
        text = (
            f"messages.{turn}: `tool_use` ids were found without `tool_result` blocks immediately after: "
            f"{', '.join(ids or self.waiting)}. "
            "Each `tool_use` block must have a corresponding `tool_result` block in the next message."
        )
        raise Refused(bad(rule, text, pinned=False))

    def _unexpected(self, answer: str, size: int) -> None:
        place = f"messages.{self.turn}.content.{size}"
        if (
            answer in self.waiting
        ):  # it comes too late in its turn: documented as the error of a call without its result
            self._unanswered("A3", [answer])
        if answer in self.answered:
            text = f"each tool_use must have a single result. Found multiple `tool_result` blocks with id: {answer}"
            raise Refused(bad("A4", f"{place}: {text}"))
        text = (
            f"{place}: unexpected `tool_use_id` found in `tool_result` blocks: {answer}. "
            "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
        )
        raise Refused(bad("A2", text))

    def _twice(self, size: int) -> None:
        raise Refused(bad("A5", f"messages.{self.turn}.content.{size}: `tool_use` ids must be unique"))

    # What is asked at the end.

    def _end_of_assistant(self) -> None:
        if self.waiting:
            self._unanswered()
        if not self.settings.prefill:
            text = (
                "This model does not support assistant message prefill. The conversation must end with a user message."
            )
            raise Refused(bad("A16", text))
        if not self.size:
            return
        self._full_assistant()
        if self.last.__class__ is Text and self.last.text[-1].isspace():
            raise Refused(bad("A15", "messages: final assistant content cannot end with trailing whitespace"))

    def _chain_begins_thinking(self) -> None:
        # The words speak of the final assistant message, the recorded ones were the first of their chain of calls;
        # between the calls of a chain a model need not think again, so the chain's first one is asked.
        if self.chain is None:
            return
        turn, found = self.chain
        if found in ("thinking", "redacted_thinking"):
            return
        text = (
            f"messages.{turn}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{found}`. "
            "When `thinking` is enabled, a final `assistant` message must start with a thinking block (preceeding "
            "the lastmost set of `tool_use` and `tool_result` blocks). We recommend you include thinking blocks from "
            "previous turns. To avoid this requirement, disable `thinking`. Please consult our documentation at "
            "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
        )
        raise Refused(bad("A22", text))

    def _thoughts_unchanged(self) -> None:
        turn = self.turn if self.role == "assistant" else self.turn - 1
        for number, block in self.thoughts:
            if (
                block.__class__ is Thinking
                and block.signature.startswith(SIGNED)
                and block.signature != signature(block.thinking)
            ):
                text = (
                    f"messages.{turn}.content.{number}: `thinking` or `redacted_thinking` blocks in the latest "
                    "assistant message cannot be modified. "
                    "These blocks must remain as they were in the original response."
                )
                raise Refused(bad("A23", text))


def _kind(block: Any) -> str:
    return str(block.__struct_config__.tag)


_SOME_CALL = ToolUse(id="", name="", input=msgspec.Raw(b"{}"))
