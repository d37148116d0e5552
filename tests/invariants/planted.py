"""One correct loop, and what goes wrong with it: a planted fault for every invariant.

`Careful` is the correct loop. Its core is a generator that yields what it wants done (a request, or
calls to run), so that one core serves as a function (`Careful`), as a coroutine (`Async`), and with
chat-completions dicts (`Dicts`). A fault is a subclass that overrides one method in a few lines.

The names of faults are the mistakes that people make; ``FAULTS`` says for each which invariant has to find it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, ClassVar

import msgspec

from looprig.content import ScenarioFile, standard
from looprig.loop import Contract, ModelError
from looprig.messages import Message, ToolCall, message_from_dict
from looprig.scenario import Fault, PlannedCall, Round, Scenario, Turn, user_text
from looprig.tokens import estimate, message_tokens
from looprig.toolbox import conflict, resources

TRIGGER, TARGET, ROUNDS = 30, 20, 40
RESULT_CHARS = 20_000

Run = list[tuple[Any, Mapping[str, Any]]]
"""Tools to run, each with its arguments."""

Core = Generator[list[Message] | Run, Any, Any]


class Careful:
    """A correct loop, as a function: pair-safe trimming, all results, and every promise there is."""

    contract: ClassVar[Any] = Contract(
        messages_max=TRIGGER, trigger=TRIGGER, target=TARGET, rounds_max=ROUNDS, safe_size=TRIGGER, asks_approval=True
    )

    def __init__(self, model: Any, tools: Any) -> None:
        self.model, self.tools = model, tools
        self.history: list[Any] = []

    def send(self, text: str) -> str:
        core = self.turn(text)
        step = partial(next, core)
        while True:
            try:
                wanted = step()
            except StopIteration as end:
                return str(end.value)
            try:
                step = partial(core.send, self.serve(wanted))
            except BaseException as error:
                step = partial(core.throw, error)

    def serve(self, wanted: Any) -> Any:
        if isinstance(wanted[0], Message):
            return self.model.complete(wanted)
        return [as_text(partial(tool.run, arguments)) for tool, arguments in wanted]

    # -- the core ------------------------------------------------------------------------------------------------

    def turn(self, text: str) -> Core:
        self.validate(text)
        self.say(Message(role="user", content=text))
        for _ in range(ROUNDS):
            reply = yield from self.ask()
            self.say(reply)
            if not reply.tool_calls:
                return self.answer(reply)
            yield from self.run(reply.tool_calls)
        return self.stop()

    def validate(self, text: str) -> None:
        if not text.strip():
            raise ValueError("there is nothing to answer")

    def say(self, message: Message) -> None:
        self.history.append(message)

    def add_system(self, text: str) -> None:
        self.say(Message(role="system", content=text))

    def answer(self, reply: Message) -> str:
        return reply.content

    def stop(self) -> str:
        self.say(Message(role="assistant", content=f"Stopped after {ROUNDS} rounds."))
        return f"Stopped after {ROUNDS} rounds."

    def ask(self) -> Core:
        """Ask the model, three times where the provider says that it may work later."""
        for attempt in range(3):
            self.history = list(self.trim(self.history))
            try:
                return (yield self.request())
            except ModelError as error:
                if error.status == 400 or attempt == 2:
                    raise
        raise AssertionError("three attempts end in a reply or an error")

    def request(self) -> list[Message]:
        return list(self.history)

    def run(self, calls: Sequence[ToolCall]) -> Core:
        """Run what may run, and add a result for every call in call order, also when the turn is given up."""
        texts = dict.fromkeys(range(len(calls)), "cancelled: the outcome is unknown")
        try:
            due: dict[int, tuple[Any, Mapping[str, Any]]] = {}
            for number, call in enumerate(calls):
                prepared = self.prepare(call)
                if isinstance(prepared, str):
                    texts[number] = prepared
                else:
                    due[number] = prepared
            if due:
                texts.update(zip(due, (yield list(due.values())), strict=True))
        finally:
            for message in self.results(calls, texts):
                self.say(message)

    def results(self, calls: Sequence[ToolCall], texts: dict[int, str]) -> list[Message]:
        return [Message(role="tool", content=texts[number], tool_call_id=call.id) for number, call in enumerate(calls)]

    def prepare(self, call: ToolCall) -> str | tuple[Any, Mapping[str, Any]]:
        """Return the tool and its arguments, or the text that says why the call does not run."""
        if call.name not in self.tools:
            return f"error: there is no tool {call.name!r}"
        arguments = self.arguments(call)
        if not isinstance(arguments, dict):
            return "error: the arguments are no JSON object"
        if not self.allowed(call):
            return "denied"
        return self.tools[call.name], arguments

    def arguments(self, call: ToolCall) -> Any:
        try:
            return json.loads(call.arguments or "{}")
        except (ValueError, RecursionError):
            return None

    def allowed(self, call: ToolCall) -> bool:
        if self.tools[call.name].category != "destructive":
            return True
        return bool(self.tools.approve(call.id, call.name, call.arguments))

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        if len(messages) <= TRIGGER:
            return list(messages)
        return cut(messages, lambda kept: len(kept) <= TARGET)


class Async(Careful):
    """The correct loop as a coroutine; the calls of a round run at the same time."""

    async def send(self, text: str) -> str:  # type: ignore[override]
        core = self.turn(text)
        step = partial(next, core)
        while True:
            try:
                wanted = step()
            except StopIteration as end:
                return str(end.value)
            try:
                step = partial(core.send, await self.serve(wanted))
            except BaseException as error:
                step = partial(core.throw, error)

    async def serve(self, wanted: Any) -> Any:
        if isinstance(wanted[0], Message):
            return await self.model.acomplete(wanted)
        return await asyncio.gather(*(as_text_async(tool.arun(arguments)) for tool, arguments in wanted))


class Dicts(Careful):
    """The correct loop, which remembers and sends chat-completions dicts; a message of calls has no content."""

    trim = None  # type: ignore[assignment]  # a trim of dicts cannot be tried by looprig

    def say(self, message: Message) -> None:
        self.history.append(message.to_dict() | ({"content": None} if message.tool_calls else {}))

    def ask(self) -> Core:
        self.history = self.trimmed(self.history)
        return message_from_dict((yield [*self.history]))

    def trimmed(self, history: list[Any]) -> list[Any]:
        messages = [message_from_dict(entry) for entry in history]
        kept = {id(message) for message in Careful.trim(self, messages)}
        return [entry for entry, message in zip(history, messages, strict=True) if id(message) in kept]

    def serve(self, wanted: Any) -> Any:
        return self.model.complete(wanted) if isinstance(wanted[0], dict) else super().serve(wanted)


class Tokens(Careful):
    """The correct loop with a budget of tokens and none of messages."""

    BUDGET = 1_000
    contract = Contract(tokens_max=BUDGET, rounds_max=ROUNDS)

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        return cut(messages, lambda kept: self.size(kept) <= self.BUDGET)

    def size(self, messages: Sequence[Message]) -> int:
        return sum(message_tokens(message, estimate) for message in messages)


class Notes(Careful):
    """The correct loop with a retrieved context in front of the newest user message, declared as its own."""

    contract = msgspec.structs.replace(Careful.contract, messages_max=TRIGGER + 1, notes=("context",))

    def request(self) -> list[Message]:
        newest = max(number for number, message in enumerate(self.history) if message.role == "user")
        note = Message(role="user", content=f"Context: {self.history[newest].content[::-1]}", name="context")
        return [*self.history[:newest], note, *self.history[newest:]]


class Masks(Careful):
    """The correct loop that sends old results as a mask, declared, and only where the model has seen them."""

    MASK = "[seen before]"
    contract = msgspec.structs.replace(Careful.contract, mask=MASK)

    def request(self) -> list[Message]:
        old = self.old()
        return [
            msgspec.structs.replace(message, content=self.MASK) if message.role == "tool" and number < old else message
            for number, message in enumerate(self.history)
        ]

    def old(self) -> int:
        replies = [number for number, message in enumerate(self.history) if message.role == "assistant"]
        return min([len(self.history) - 4, *replies[-1:]])


def cut(messages: Sequence[Message], fits: Callable[[list[Message]], bool]) -> list[Message]:
    """Drop whole turns from the oldest on until the rest fits, then whole groups of the current turn.

    System messages and the newest user message stay.
    """
    users = [number for number, message in enumerate(messages) if message.role == "user"]
    if not users:
        return list(messages)
    inner = [n for n in range(users[-1] + 1, len(messages)) if messages[n].role == "assistant"]
    kept = list(messages)
    for start in (0, *users, *inner):
        stay = (n for n, m in enumerate(messages) if n >= start or n == users[-1] or m.role == "system")
        kept = [messages[n] for n in stay]
        if fits(kept):
            break
    return kept


def as_text(run: Callable[[], object]) -> str:
    try:
        value = run()
    except Exception as error:
        return f"error: {error}"
    return printable(value)


async def as_text_async(run: Any) -> str:
    try:
        value = await run
    except Exception as error:
        return f"error: {error}"
    return printable(value)


def printable(value: object) -> str:
    text = value if isinstance(value, str) else f"<{type(value).__name__}>"
    return text[:RESULT_CHARS].encode("utf-8", "replace").decode()


# ---------------------------------------------------------------------------------------------------------------------
# Harmless variants: other correct ways, which no invariant may blame.


class RollsBack(Careful):
    """Takes a failed turn out of its history again, and raises."""

    def turn(self, text: str) -> Core:
        before = list(self.history)
        try:
            return (yield from super().turn(text))
        except BaseException:
            self.history = before
            raise


class RollsBackAsync(RollsBack, Async):
    """The same as a coroutine."""


class Apologises(RollsBack):
    """Takes a failed turn out of its history again, and tells the user in its own words."""

    def turn(self, text: str) -> Core:
        try:
            return (yield from super().turn(text))
        except ModelError as error:
            return f"Sorry, the model failed: {error}"


class Marks(Async):
    """Leaves a message of its own behind a turn that failed or was given up, so that the roles alternate."""

    def turn(self, text: str) -> Core:
        asked = len(self.history)
        try:
            return (yield from super().turn(text))
        except BaseException:
            if len(self.history) > asked:
                self.say(Message(role="assistant", content=f"({text.split()[0]} was interrupted.)"))
            raise


class OwnIds(Async):
    """Makes the id of every call its own, since providers use theirs again."""

    def ask(self) -> Core:
        reply = yield from super().ask()
        self.count = getattr(self, "count", 0) + len(reply.tool_calls)
        calls = (
            ToolCall(id=f"{call.id}_{self.count - number}", name=call.name, arguments=call.arguments)
            for number, call in enumerate(reply.tool_calls)
        )
        return msgspec.structs.replace(reply, tool_calls=tuple(calls))


class Portable(OwnIds):
    """The correct loop for whichever provider: the ids of its calls are its own."""

    contract = msgspec.structs.replace(
        Careful.contract, providers=("openai-chat", "openai-responses", "anthropic", "gemini")
    )


class Respells(Dicts):
    """Reads the arguments of calls and writes them anew, as frameworks do that keep them as dicts."""

    def say(self, message: Message) -> None:
        super().say(message)
        for call in self.history[-1].get("tool_calls", ()):
            arguments = self.arguments(ToolCall(id="", name="", arguments=call["function"]["arguments"]))
            if isinstance(arguments, dict):
                call["function"]["arguments"] = json.dumps(dict(sorted(arguments.items())), separators=(",", ":"))


class Encodes(Async):
    """Replaces what UTF-8 cannot hold, wherever it comes from."""

    def say(self, message: Message) -> None:
        super().say(msgspec.structs.replace(message, content=self.clean(message.content)))

    def answer(self, reply: Message) -> str:
        return self.clean(reply.content)

    def arguments(self, call: ToolCall) -> Any:
        read = super().arguments(call)
        if not isinstance(read, dict):
            return read
        return {key: self.clean(value) if isinstance(value, str) else value for key, value in read.items()}

    def clean(self, text: str) -> str:
        return text.encode("utf-8", "replace").decode()


class SkipsDependants(Async):
    """Does not run what depends on a call that failed or was left out, and says so."""

    contract = msgspec.structs.replace(Careful.contract, skips_dependants=True)

    def run(self, calls: Sequence[ToolCall]) -> Core:
        texts = dict.fromkeys(range(len(calls)), "cancelled: the outcome is unknown")
        failed: list[Any] = []
        try:
            for number, call in enumerate(calls):
                touched = resources(call.name, self.arguments(call) or {})
                prepared = self.prepare(call)
                known = prepared == "denied" or not isinstance(prepared, str)
                if known and self.depends(touched, failed):
                    texts[number] = "error: it depends on a call that failed"
                else:
                    texts[number] = prepared if isinstance(prepared, str) else (yield [prepared])[0]
                if known and texts[number].startswith(("error", "denied")):
                    failed.append(touched)
        finally:
            for message in self.results(calls, texts):
                self.say(message)

    def depends(self, touched: Any, failed: list[Any]) -> bool:
        return any(conflict(each, touched) for each in failed)


class OwnCancellation(Async):
    """Raises an error of its own where it is cancelled."""

    async def send(self, text: str) -> str:  # type: ignore[override]
        try:
            return await super().send(text)
        except asyncio.CancelledError:
            raise RuntimeError("the turn was cancelled") from None


class RaisesAtItsLimit(Careful):
    """Ends a turn that has reached its promised rounds with an error instead of an answer."""

    def stop(self) -> str:
        raise RuntimeError("the promised rounds are used up")


class Never(Async):
    """Never trims, and promises nothing."""

    contract: ClassVar[Any] = {}

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        return list(messages)


class Hoists(Careful):
    """Sends all system messages in front, whenever they were added."""

    def request(self) -> list[Message]:
        return sorted(self.history, key=lambda message: message.role != "system")


class Bare:
    """A loop with ``send`` and nothing else, as short as one can be."""

    def __init__(self, model: Any, tools: Any) -> None:
        self._inner = Careful(model, tools)

    def send(self, text: str) -> str:
        return self._inner.send(text)


CORRECT = (Careful, Async, Dicts, Tokens, Notes, Masks, Portable)
HARMLESS = (
    RollsBack,
    RollsBackAsync,
    Apologises,
    Marks,
    OwnIds,
    Respells,
    Encodes,
    SkipsDependants,
    OwnCancellation,
    RaisesAtItsLimit,
    Never,
    Hoists,
    Bare,
)


# ---------------------------------------------------------------------------------------------------------------------
# Scenarios, small


SIZES: dict[str, dict[str, int | float]] = {
    "failing_tools": {"turns": 40, "depth": 20_000},
    "long_conversation": {"messages": 160},
    "long_tool_chain": {"rounds": 35, "before": 3, "after": 4},
    "many_systems": {"systems": 3, "turns": 40, "every": 6},
    "odd_text": {"repeats": 1, "long_chars": 5_000},
    "oversized_message": {"turns": 40, "every": 4, "user_chars": 2_000, "result_chars": 4_000, "answer_chars": 4_000},
    "parallel_tools": {"turns": 12},
    "pending_calls": {"messages": 160},
    "repeated_ids": {"turns": 30},
    "seed_1000_messages": {"messages": 120},
    "slow_model": {"turns": 60, "fault_every": 3},
    "working_day": {"sessions": 3, "conversations": 4},
}


def standard_scenario(name: str, seed: int = 1) -> Scenario:
    """Return a standard scenario in its small size."""
    settings = {key: str(value) for key, value in SIZES[name].items()}
    return ScenarioFile(name, standard("scenarios") / f"{name}.py").make(seed, settings)


def scenario(*turns: Turn) -> Scenario:
    return Scenario(name="handmade", seed=0, turns=turns)


def turn(number: int, *rounds: tuple[PlannedCall, ...], session: int = 0, **more: Any) -> Turn:
    """Return turn *number*: the user says it, the model asks for these rounds of calls, then answers."""
    more.setdefault("say", user_text(session, number, f"question {number}"))
    asked = tuple(Round(calls=calls) for calls in rounds)
    return Turn(answer=f"answer {number}", rounds=asked, session=session, **more)


def call(name: str = "search", **more: Any) -> PlannedCall:
    inputs = {"search": {"query": "what"}, "delete_file": {"path": "old.txt"}}.get(name, {})
    return PlannedCall(name=name, inputs=inputs, **{"result": f"what {name} gives", **more})


# ---------------------------------------------------------------------------------------------------------------------
# Faults


class CutsByCount(Careful):
    def trim(self, messages: Sequence[Message]) -> list[Message]:
        return list(messages) if len(messages) <= TRIGGER else [messages[0], *messages[1 - TARGET :]]


class CutsDictsByCount(Dicts):
    def trimmed(self, history: list[Any]) -> list[Any]:
        return history if len(history) <= TRIGGER else [history[0], *history[1 - TARGET :]]


class KeepsTheLastOnes(Async):
    def trim(self, messages: Sequence[Message]) -> list[Message]:
        return list(messages)[-TARGET:]


class KeepsOneSystemMessage(Careful):
    def trim(self, messages: Sequence[Message]) -> list[Message]:
        first = next((message for message in messages if message.role == "system"), None)
        return super().trim([message for message in messages if message.role != "system" or message is first])


class MovesSystemMessagesBack(Careful):
    def request(self) -> list[Message]:
        systems = [message for message in self.history if message.role == "system"]
        talk = [message for message in self.history if message.role != "system"]
        return [*talk, *systems] if len(talk) > 10 else [*systems, *talk]


class ForgetsTheQuestion(Careful):
    """The chain of calls fills the budget, and the question is the oldest of the turn."""

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        kept = super().trim(messages)
        newest = max((number for number, message in enumerate(kept) if message.role == "user"), default=0)
        return kept if len(kept) == len(messages) else [*kept[:newest], *kept[newest + 1 :]]


class DropsTheNewestGroup(Careful):
    def request(self) -> list[Message]:
        if len(self.history) < 12 or self.history[-1].role != "tool":
            return super().request()
        calls = max(number for number, message in enumerate(self.history) if message.tool_calls)
        return self.history[:calls]


class StartsAnywhere(Careful):
    def trim(self, messages: Sequence[Message]) -> list[Message]:
        kept = super().trim(messages)
        while len(kept) < len(messages) and len(kept) > 2 and kept[1].role != "assistant":
            del kept[1]
        return kept


class KeepsOneTooMany(Careful):
    """The limit is checked before the answer to it is appended, not before the request."""

    def ask(self) -> Core:
        reply = yield self.request()
        self.history = list(self.trim(self.history))
        return reply


class CountsCharactersForTokens(Tokens):
    def size(self, messages: Sequence[Message]) -> int:
        return sum(len(message.content) // 8 for message in messages)


class TrimsEveryTime(Careful):
    def trim(self, messages: Sequence[Message]) -> list[Message]:
        return cut(messages, lambda kept: len(kept) <= TARGET)


class KeepsTheOldest(Async):
    """The first turn is pinned, which no contract can say."""

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        if len(messages) <= TRIGGER:
            return list(messages)
        return [*messages[:3], *cut(messages[3:], lambda kept: len(kept) <= TARGET - 3)]


class DropsATurnEachTime(Careful):
    def trim(self, messages: Sequence[Message]) -> list[Message]:
        return cut(messages, lambda kept: len(kept) < len(messages)) if len(messages) > 6 else list(messages)


class TrimsTheCallersList(Careful):
    def trim(self, messages: Sequence[Message]) -> list[Message]:
        kept = super().trim(messages)
        if isinstance(messages, list):
            messages[:] = kept
        return kept


class TrimsByChance(Careful):
    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(model, tools)
        self.random = Random(1)

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        if len(messages) <= TRIGGER:
            return list(messages)
        goal = TARGET - self.random.randrange(8)
        return cut(messages, lambda kept: len(kept) <= goal)


class PutsTheQuestionFirst(Careful):
    def request(self) -> list[Message]:
        if len(self.history) < 10 or self.history[-1].role != "user":
            return super().request()
        return [self.history[0], self.history[-1], *self.history[1:-1]]


class EmptiesTheConversation(Careful):
    """LangChain's recommended trim: what is left of a turn that does not fit is nothing."""

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        kept = list(messages)[-TARGET:] if len(messages) > TRIGGER else list(messages)
        while len(kept) < len(messages) and kept and kept[0].role != "user":
            del kept[0]
        return [message for message in messages if message.role == "system" and message not in kept] + kept


class TrimsTooMuch(Careful):
    def trim(self, messages: Sequence[Message]) -> list[Message]:
        return list(messages) if len(messages) <= TRIGGER else cut(messages, lambda kept: len(kept) <= TARGET // 2)


class TrimsToMoreThanItsTrigger(Careful):
    """The seed's: the trim stops at more messages than it promises to begin at."""

    contract = Contract(trigger=TARGET)

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        return list(messages) if len(messages) <= TRIGGER else cut(messages, lambda kept: len(kept) <= TRIGGER - 2)


class LeavesItsNotes(Notes):
    def request(self) -> list[Message]:
        if self.history[-1].role == "user":
            self.history = super().request()
        return list(self.history)


class DropsOldResults(Careful):
    def request(self) -> list[Message]:
        tools = [number for number, message in enumerate(self.history) if message.role == "tool"][:-8]
        return [message for number, message in enumerate(self.history) if number not in tools]


class LosesTheResultOfAFailure(Async):
    def results(self, calls: Sequence[ToolCall], texts: dict[int, str]) -> list[Message]:
        return [message for message in super().results(calls, texts) if not message.content.startswith("error")]


class TalksBetweenCallAndResult(Careful):
    def results(self, calls: Sequence[ToolCall], texts: dict[int, str]) -> list[Message]:
        return [Message(role="system", content="Read the results with care."), *super().results(calls, texts)]


class SendsAResultTwice(Dicts):
    def results(self, calls: Sequence[ToolCall], texts: dict[int, str]) -> list[Message]:
        results = super().results(calls, texts)
        return [*results, results[-1]]


class RewritesTheQuestion(Careful):
    """Retrieved context is glued to the user's own words."""

    def turn(self, text: str) -> Core:
        return (yield from super().turn(f"Context: nothing.\n\n{text}"))


class InventsAMessage(Dicts):
    def trimmed(self, history: list[Any]) -> list[Any]:
        kept = super().trimmed(history)
        if len(kept) == len(history):
            return kept
        summary = {"role": "user", "content": "So far we talked about this and that."}
        return [kept[0], summary, {"role": "assistant", "content": "Good."}, *kept[1:]]


class Reorders(Async):
    def trim(self, messages: Sequence[Message]) -> list[Message]:
        kept = super().trim(messages)
        if len(kept) == len(messages) or len(kept) < 6 or kept[3].role != "user":
            return kept
        return [kept[0], *kept[3:5], *kept[1:3], *kept[5:]] if kept[4].role == "assistant" else kept


class DoublesTheQuestion(Careful):
    def say(self, message: Message) -> None:
        super().say(message)
        if message.role == "user" and len(self.history) > 4:
            super().say(message)


class SharesItsList(Careful):
    shared: ClassVar[list[Message]] = []

    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(model, tools)
        self.history = SharesItsList.shared
        self.history.clear()

    def ask(self) -> Core:
        return (yield self.request())


class EmptiesResults(Careful):
    def results(self, calls: Sequence[ToolCall], texts: dict[int, str]) -> list[Message]:
        return super().results(calls, dict.fromkeys(texts, ""))


class MixesUpResults(Async):
    def results(self, calls: Sequence[ToolCall], texts: dict[int, str]) -> list[Message]:
        return super().results(calls, dict(zip(texts, reversed(texts.values()), strict=True)))


class MasksInSilence(Masks):
    contract = Careful.contract


class MasksWithOtherWords(Masks):
    contract = msgspec.structs.replace(Careful.contract, mask="[removed]")


class MasksTooEarly(Masks):
    """The limit is counted in messages, and a wide round is longer than that."""

    def old(self) -> int:
        return len(self.history) - 1


class ImprovesTheAnswer(Async):
    def answer(self, reply: Message) -> str:
        return reply.content.replace("\n", " ").strip() + "\nIs there anything else?"


class KeepsRefusedText(Careful):
    def turn(self, text: str) -> Core:
        if text.strip():
            return (yield from super().turn(text))
        self.say(Message(role="user", content=text))
        raise ValueError("there is nothing to answer")


class AnswersOneCallOnly(Careful):
    def results(self, calls: Sequence[ToolCall], texts: dict[int, str]) -> list[Message]:
        return super().results(calls[:1], texts)


class RunsMalformedCalls(Careful):
    def arguments(self, call: ToolCall) -> Any:
        read = super().arguments(call)
        return read if isinstance(read, dict) else {}


class RunsTheNearestTool(Async):
    def prepare(self, call: ToolCall) -> str | tuple[Any, Mapping[str, Any]]:
        known = call if call.name in self.tools else msgspec.structs.replace(call, name="search")
        return super().prepare(known)


class RunsDeniedCalls(Careful):
    def allowed(self, call: ToolCall) -> bool:
        super().allowed(call)
        return True


class NeverRunsTools(Careful):
    def run(self, calls: Sequence[ToolCall]) -> Core:
        for message in self.results(calls, dict.fromkeys(range(len(calls)), "done")):
            self.say(message)
        yield from ()


class RunsToolsTwice(Async):
    def run(self, calls: Sequence[ToolCall]) -> Core:
        again = [prepared for prepared in map(self.prepare, calls) if not isinstance(prepared, str)]
        if again:
            yield again
        yield from super().run(calls)


class SkipsTheRest(SkipsDependants):
    """One call that fails costs the round all later ones."""

    def depends(self, touched: Any, failed: list[Any]) -> bool:
        return bool(failed)


class AltersArguments(Careful):
    def arguments(self, call: ToolCall) -> Any:
        read = super().arguments(call)
        if not isinstance(read, dict):
            return read
        return {key: value if key == "ref" else str(value).lower()[:10] for key, value in read.items()}


class AsksNobody(Careful):
    def allowed(self, call: ToolCall) -> bool:
        return True


class JoinsResultsAsTheyCome(Async):
    def results(self, calls: Sequence[ToolCall], texts: dict[int, str]) -> list[Message]:
        return sorted(super().results(calls, texts), key=lambda message: len(message.content))


class ChokesOnBraces(Careful):
    def say(self, message: Message) -> None:
        message.content.format()
        super().say(message)


class AnswersNothing(Async):
    def answer(self, reply: Message) -> str:
        return ""


class StartsTheTurnOver(Careful):
    """The trim drops the current turn, and the loop puts the question back."""

    def request(self) -> list[Message]:
        newest = max(number for number, message in enumerate(self.history) if message.role == "user")
        return self.history[: newest + 1] if len(self.history) - newest > 12 else list(self.history)


class StopsAfterOneRound(Careful):
    def run(self, calls: Sequence[ToolCall]) -> Core:
        yield from super().run(calls)
        self.done = True

    def ask(self) -> Core:
        if self.history[-1].role == "tool":
            return Message(role="assistant", content="I am done.")
        return (yield from super().ask())


class AnswersByItself(Careful):
    """A cache that holds the first answer for ever."""

    def turn(self, text: str) -> Core:
        if len(self.history) > 3:
            return "I have said all that I have to say."
        return (yield from super().turn(text))


class PromisesFewerRounds(Async):
    contract = Contract(rounds_max=5)


class SwallowsModelErrors(Careful):
    def turn(self, text: str) -> Core:
        try:
            return (yield from super().turn(text))
        except ModelError:
            return ""


class SwallowsCancellation(Async):
    async def send(self, text: str) -> str:  # type: ignore[override]
        try:
            return await super().send(text)
        except BaseException:
            return "Something went wrong."


class GoesOnWhenCancelled(Async):
    async def send(self, text: str) -> str:  # type: ignore[override]
        return await asyncio.shield(super().send(text))


class LeavesCallsOpen(Async):
    """The results are only written where all went well."""

    def run(self, calls: Sequence[ToolCall]) -> Core:
        before = len(self.history)
        try:
            yield from super().run(calls)
        except BaseException:
            del self.history[before:]
            raise


class WritesLongIds(Portable):
    """Makes the ids of calls its own by writing the question into them."""

    def ask(self) -> Core:
        reply = yield from super().ask()
        calls = (msgspec.structs.replace(call, id=f"{call.id}_{'question' * 5}") for call in reply.tool_calls)
        return msgspec.structs.replace(reply, tool_calls=tuple(calls))


class SendsCallsWithoutResults(DropsOldResults, Portable):
    """Drops old results and keeps their calls, for a provider that pairs them wherever they stand."""


class KeepsTheProvidersIds(Portable):
    def ask(self) -> Core:
        return Careful.ask(self)


class BeginsWithACall(Portable):
    """Keeps what fits, from a message of calls on."""

    def trim(self, messages: Sequence[Message]) -> list[Message]:
        kept = super().trim(messages)
        first = next((number for number, message in enumerate(kept) if message.tool_calls), None)
        return kept if len(kept) == len(messages) or first is None else kept[first:]


# ---------------------------------------------------------------------------------------------------------------------
# Which invariant has to find what

GIVEN_UP = scenario(
    turn(0, system=("Be brief.",)),
    turn(1, (call(duration_s=9.0), call(duration_s=9.0)), cancel_after_s=1.0),
)
DENIED = scenario(turn(0, (call("delete_file", approve=False), call("delete_file"))))
MANY_ROUNDS = scenario(turn(0, *[(call(),)] * 8))
FAILING = scenario(turn(0, faults=(Fault(kind="bad_request"),)), turn(1))
WIDE = scenario(turn(0, (call(result="long" * 9), call(result="short"), call(result="even longer" * 9))), turn(1))


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """A fault, in words; the loop that has it; where it shows; and the code that has to find it."""

    code: str
    fault: str
    loop: type[Any]
    scenario: str | Scenario = field(default="pending_calls")

    def made(self) -> Scenario:
        return standard_scenario(self.scenario) if isinstance(self.scenario, str) else self.scenario


FAULTS = (
    Planted("LR101", "keeps the last n messages, the system prompt or not", KeepsTheLastOnes),
    Planted("LR101", "takes the first system message for the only one", KeepsOneSystemMessage, "many_systems"),
    Planted("LR101", "puts the system prompt at the end", MovesSystemMessagesBack),
    Planted("LR102", "drops the question in a long chain of calls", ForgetsTheQuestion, "long_tool_chain"),
    Planted("LR103", "drops the group whose results have just come", DropsTheNewestGroup),
    Planted("LR104", "cuts between a question and its answer", StartsAnywhere, "long_conversation"),
    Planted("LR105", "trims after the request, not before", KeepsOneTooMany),
    Planted("LR106", "counts characters for tokens", CountsCharactersForTokens, "oversized_message"),
    Planted("LR107", "trims to the target at every request", TrimsEveryTime),
    Planted("LR108", "keeps the first turn for ever", KeepsTheOldest, "long_conversation"),
    Planted("LR109", "drops one more turn each time it is called", DropsATurnEachTime),
    Planted("LR110", "trims the caller's list in place", TrimsTheCallersList),
    Planted("LR111", "trims to a random length", TrimsByChance),
    Planted("LR112", "puts the newest question in front of the history", PutsTheQuestionFirst, "long_conversation"),
    Planted("LR113", "drops the whole of a turn that does not fit", EmptiesTheConversation, "long_tool_chain"),
    Planted("LR115", "trims to half its target", TrimsTooMuch),
    Planted("LR116", "trims to more than its trigger", TrimsToMoreThanItsTrigger),
    Planted("LR117", "keeps the context of every turn", LeavesItsNotes),
    Planted("LR121", "cuts by count: results without their call", CutsByCount),
    Planted("LR121", "the same with dicts", CutsDictsByCount),
    Planted("LR122", "drops old results and keeps their calls", DropsOldResults),
    Planted("LR122", "writes no result for a tool that fails", LosesTheResultOfAFailure, "failing_tools"),
    Planted("LR123", "puts a system message between call and result", TalksBetweenCallAndResult),
    Planted("LR124", "writes the last result twice", SendsAResultTwice),
    Planted("LR131", "glues retrieved context to the user's words", RewritesTheQuestion),
    Planted("LR131", "invents a summary that nobody declared", InventsAMessage, "long_conversation"),
    Planted("LR131", "swaps two turns in a trim", Reorders, "long_conversation"),
    Planted("LR131", "remembers the question twice", DoublesTheQuestion, "long_conversation"),
    Planted("LR131", "masks old results and does not say so", MasksInSilence),
    Planted("LR131", "masks old results with other words than it says", MasksWithOtherWords),
    Planted("LR132", "keeps its history in a class attribute", SharesItsList, "working_day"),
    Planted("LR133", "replaces results by an empty text", EmptiesResults),
    Planted("LR133", "masks results that the model has not seen", MasksTooEarly, WIDE),
    Planted("LR133", "gives each call the result of another", MixesUpResults, WIDE),
    Planted("LR134", "improves on the model's answer", ImprovesTheAnswer),
    Planted("LR135", "remembers a text before it refuses it", KeepsRefusedText, "odd_text"),
    Planted("LR141", "answers the first of several calls only", AnswersOneCallOnly),
    Planted("LR142", "runs malformed calls with no arguments", RunsMalformedCalls, "failing_tools"),
    Planted("LR142", "runs another tool for one that does not exist", RunsTheNearestTool, "failing_tools"),
    Planted("LR143", "asks, and runs what was denied", RunsDeniedCalls, DENIED),
    Planted("LR144", "never runs its tools, and makes results up", NeverRunsTools),
    Planted("LR144", "runs every tool twice", RunsToolsTwice),
    Planted("LR144", "lets one failure cost its siblings", SkipsTheRest, "failing_tools"),
    Planted("LR145", "shortens the arguments", AltersArguments),
    Planted("LR146", "asks nobody, though it promises to", AsksNobody, DENIED),
    Planted("LR147", "joins results as they come", JoinsResultsAsTheyCome, WIDE),
    Planted("LR151", "takes the user's text for a template", ChokesOnBraces, "odd_text"),
    Planted("LR151", "gives the user an empty answer", AnswersNothing),
    Planted("LR152", "sends the question alone when the turn gets long", StartsTheTurnOver, "long_tool_chain"),
    Planted("LR153", "answers by itself after one round of calls", StopsAfterOneRound),
    Planted("LR153", "answers all later turns by itself", AnswersByItself),
    Planted("LR154", "has no limit where it promises one", PromisesFewerRounds, MANY_ROUNDS),
    Planted("LR155", "turns model errors into an empty answer", SwallowsModelErrors, FAILING),
    Planted("LR156", "turns a cancellation into an answer", SwallowsCancellation, GIVEN_UP),
    Planted("LR157", "writes no results when it is cancelled", LeavesCallsOpen, GIVEN_UP),
    Planted("LR201", "writes more into an id than it may hold", WritesLongIds),
    Planted("LR202", "sends calls whose results it has dropped", SendsCallsWithoutResults),
    Planted("LR203", "keeps ids that the provider uses again", KeepsTheProvidersIds, "repeated_ids"),
    Planted("LR204", "begins the history with a message of calls", BeginsWithACall),
)
