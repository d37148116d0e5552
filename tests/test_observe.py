"""What the observer shows of a run: the same, live and from a recording, and each request as it was sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from looprig.content import find_scenarios, standard
from looprig.messages import Message
from looprig.observe import Observer, RequestView, SessionView, TurnView, views
from looprig.runner import RunOptions, run
from looprig.scenario import PlannedCall, Round, Scenario, Turn
from looprig.trace import Request, SessionEnded, TurnEnded, read
from reference_loop import make_loop

STANDARD = sorted(path.stem for path in standard("scenarios").glob("[!_]*.py"))
SMALL = {"turns": "12", "repeats": "1", "messages": "200"}


def scenario(name: str) -> Scenario:
    file = find_scenarios()[name]
    return file.make(7, {key: value for key, value in SMALL.items() if key in file.parameters})


class Wire:
    """A model that writes down what it is handed, and passes it on."""

    def __init__(self, model: Any, sent: list[list[Message]]) -> None:
        self._model, self._sent = model, sent

    async def acomplete(self, messages: list[Message]) -> Message:
        self._sent.append(list(messages))
        return await self._model.acomplete(messages)  # type: ignore[no-any-return]

    def astream(self, messages: list[Message]) -> Any:
        return self._model.astream(messages)


@pytest.mark.parametrize("policy", ["never", "incremental", "end-of-turn", "grouped"])
@pytest.mark.parametrize("name", STANDARD)
def test_requests(name: str, policy: str, tmp_path: Path):
    """
    Each request's entries are the messages that went over the wire, in a recording as in the run, whatever is trimmed.
    """
    sent: list[list[Message]] = []
    path = tmp_path / "run.jsonl"

    def factory(model: Any, tools: Any) -> Any:
        return make_loop(Wire(model, sent), tools, policy=policy, max_history_pairs=4)

    run(scenario(name), factory, options=RunOptions(trace=path, judge=False))
    seen = 0
    for view in views(read(path)):
        if not isinstance(view, RequestView):
            continue
        assert sent[seen] == [entry.message for entry in view.entries]
        assert list(range(len(view.entries))) == [entry.index for entry in view.entries]
        assert view.tokens == sum(entry.tokens for entry in view.entries)
        seen += 1
        assert seen == view.number

    assert len(sent) == seen


def test_views_of_events(tmp_path: Path):
    """
    Requests, ended turns and ended sessions give a view each; other events give none.
    """
    path = tmp_path / "run.jsonl"
    run(scenario("working_day"), make_loop, options=RunOptions(trace=path))
    observer = Observer()
    kinds: dict[type, type] = {Request: RequestView, TurnEnded: TurnView, SessionEnded: SessionView}

    for event in read(path):
        assert kinds.get(type(event), type(None)) is type(observer.see(event))


def test_question_that_comes_back():
    """
    A question that one request lacks and the next has again is in the latter, and is still the newest.
    """

    class Forgets:
        """Leaves the question out of the second of its three requests; its history keeps it."""

        def __init__(self, model: Any, tools: Any) -> None:
            self.model, self.tools = model, tools
            self.history: list[Message] = []

        def send(self, text: str) -> Message:
            self.history.append(Message(role="user", content=text))
            for number in range(3):
                sent = self.history[1:] if number == 1 else self.history
                reply: Message = self.model.complete(sent)
                self.history.append(reply)
                for call in reply.tool_calls:
                    result = str(self.tools[call.name].run(json.loads(call.arguments)))
                    self.history.append(Message(role="tool", content=result, tool_call_id=call.id))
            return reply

    rounds = tuple(Round(calls=(PlannedCall(name="search", inputs={"query": "x"}, result="y"),)) for _ in range(2))
    asked = Scenario(name="asked", seed=1, turns=[Turn(say="[#s0t0] what?", answer="that", rounds=rounds)])
    outcome = run(asked, Forgets)

    assert [2] == [found.request for found in outcome.violations if found.code == "LR102"]
    assert "LR108" not in outcome.broken
