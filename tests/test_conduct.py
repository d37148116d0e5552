"""What loops cost a step, how they run the calls of a round, and the smallest case that breaks a rule."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from looprig.adapters import chat, plain
from looprig.conduct import conduct, smallest
from looprig.messages import Message
from reference_loop import make_loop


class Gathering(plain.Loop):
    """Runs all calls of a reply at once; each subclass does it in its own wrong way."""

    def __init__(self, model: Any, tools: Any) -> None:
        super().__init__(model, tools, plain.run)

    async def send(self, text: str) -> Any:
        self.history.append(chat.said("user", text))
        while (reply := await self._model.acomplete(self.history)).get("tool_calls"):
            self.history.append(reply)
            self.history.extend(await self.results(list(chat.calls_of(reply))))
        self.history.append(reply)
        return reply["content"]

    async def results(self, calls: list[chat.Call]) -> list[Any]:
        return await asyncio.gather(*map(self.one, calls))

    async def one(self, call: chat.Call) -> Any:
        return chat.result(call.id, str(await self._tools[call.name].arun(call.parsed())))


class Finishing(Gathering):
    """Puts results in the order in which the calls finish, and tells what failed."""

    async def results(self, calls: list[chat.Call]) -> list[Any]:
        done: list[Any] = []

        async def one(call: chat.Call) -> None:
            try:
                done.append(await self.one(call))
            except RuntimeError as error:
                done.append(chat.result(call.id, str(error)))

        await asyncio.gather(*map(one, calls))
        return done


class Grouping(Gathering):
    """Cancels the siblings of a call that fails."""

    async def results(self, calls: list[chat.Call]) -> list[Any]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.one(call)) for call in calls]
        return [task.result() for task in tasks]


def test_calls_one_after_another():
    """
    A loop that runs calls in turn gains nothing and confuses nothing, and tells the model what failed.
    """
    found = conduct(plain.make)

    assert (1.0, 0, True) == (found.speedup, found.broken_conflicts, found.in_call_order)
    assert found.as_one_by_one
    assert found.conflicts > 20
    assert ("told to the model", "finish, and their results are told") == (found.failed_call, found.siblings)


def test_calls_that_conflict_in_turn():
    """
    The reference loop gains what can be gained, and gives what running calls one by one gives.
    """
    found = conduct(make_loop)

    assert found.speedup == found.speedup_possible > 1.5
    assert found.as_one_by_one


@pytest.mark.parametrize(
    ("loop", "in_call_order", "failed_call", "siblings"),
    [
        (Gathering, True, "the turn raised", "run on after the turn"),
        (Finishing, False, "told to the model", "finish, and their results are told"),
        (Grouping, True, "the turn raised", "are cancelled"),
    ],
)
def test_all_calls_at_once(loop: type[Gathering], in_call_order: bool, failed_call: str, siblings: str):
    """
    A loop that runs all at once is faster than can be right; where results stand and what a failure does is told.
    """
    found = conduct(loop)

    assert found.speedup > found.speedup_possible
    assert found.conflicts >= found.broken_conflicts > 0
    assert in_call_order is found.in_call_order
    assert (failed_call, siblings) == (found.failed_call, found.siblings)


class Forgetful:
    """Sends the last four messages, whatever they are."""

    def __init__(self, model: Any, tools: Any) -> None:
        self.model, self.tools = model, tools
        self.history: list[Message] = []

    def send(self, text: str) -> Message:
        self.history.append(Message(role="user", content=text))
        while True:
            self.history.append(self.model.complete(self.history[-4:]))
            if not self.history[-1].tool_calls:
                return self.history[-1]
            for call in self.history[-1].tool_calls:
                text = str(self.tools[call.name].run({"ref": call.id.removeprefix("call_")}))
                self.history.append(Message(role="tool", content=text, tool_call_id=call.id))


def test_smallest_case():
    """
    Two rounds are enough to drop the question of a turn, and the command that plays it again is given.
    """
    found = smallest(Forgetful, "LR102")

    assert found is not None
    assert "C1 T C1 T" == found.shape
    assert "looprig run long_tool_chain --set rounds=2 --set before=0 --set after=0" == found.words()


def test_no_case():
    """
    A rule that a loop keeps has no smallest case.
    """
    assert smallest(plain.make, "LR102", at_most=12) is None
