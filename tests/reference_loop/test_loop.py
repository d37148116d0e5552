"""A turn from end to end: its flow, its failures, and what is left when it is given up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from looprig.messages import Message, ToolCall
from reference_loop import (
    Config,
    ConfigError,
    InputError,
    MockModel,
    ReferenceLoop,
    make_loop,
    mock_tools,
    tool,
)
from reference_loop.errors import NoTurnNow
from reference_loop.inputs import mock_retriever
from tests.reference_loop.replies import Replies


def answer(text: str) -> Message:
    return Message(role="assistant", content=text)


def asking(*names: str, first: int = 0) -> Message:
    calls = tuple(ToolCall(id=f"c{number}", name=name) for number, name in enumerate(names, first))
    return Message(role="assistant", tool_calls=calls)


def roles(messages: Sequence[Message]) -> list[str]:
    return [message.role for message in messages]


def open_calls(messages: Sequence[Message]) -> list[str]:
    """The ids of calls that no result follows."""
    waiting: list[str] = []
    for message in messages:
        waiting += [call.id for call in message.tool_calls]
        if message.role == "tool":
            assert message.tool_call_id is not None
            waiting.remove(message.tool_call_id)
    return waiting


# validation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("x" * 11, "11 characters; at most 10"),
        ("a\0b", r"control character, U\+0000 at position 1"),
        ("a\x1b[0m", r"control character, U\+001B at position 1"),
        ("\x7f!", r"control character, U\+007F"),
        ("\x85!", r"control character, U\+0085"),
        ("a\ud800", r"lone surrogate, U\+D800 at position 1"),
    ],
)
def test_refused_text(text: str, says: str):
    """
    A text that is refused raises an error that says what is wrong, and has happened for nobody else.
    """
    model = Replies()
    loop = ReferenceLoop(model, {}, Config(max_input_chars=10))

    with pytest.raises(InputError, match=says):
        asyncio.run(loop.send(text))
    assert () == loop.history
    assert [] == model.requests
    assert 1 == loop.statistics()["input_validation.failures"]


@pytest.mark.parametrize("text", ["a\nb\tc\r", "ü", "x" * 10, "👩‍👩‍👧", "\u200f\u202e"])
def test_accepted_text(text: str):
    """
    Newline, tab, return, the longest text and anything printable reach the model as they are.
    """
    model = Replies(answer("ok"))
    asyncio.run(ReferenceLoop(model, {}, Config(max_input_chars=10)).send(text))

    assert [[Message(role="user", content=text)]] == model.requests


def test_text_of_another_type():
    """
    What is not text is a mistake of the caller, not of the user.
    """
    with pytest.raises(TypeError, match="bytes"):
        asyncio.run(ReferenceLoop(Replies(), {}).send(b"hi"))  # type: ignore[arg-type]


# flow ---------------------------------------------------------------------------------------------


def test_turn_with_tools():
    """
    Each request holds the whole history so far, in a list of its own, and the answer is returned.
    """
    model = Replies(asking("clock"), asking("read_notes", first=1), answer("done"))
    loop = ReferenceLoop(model, mock_tools())

    assert answer("done") == asyncio.run(loop.send("go"))
    assert ["user", "assistant", "tool", "assistant", "tool", "assistant"] == roles(loop.history)
    assert [list(loop.history[:length]) for length in (1, 3, 5)] == model.requests


def test_round_limit():
    """
    A model that never stops asking is stopped, after max_rounds requests and with an answer that says so.
    """
    model = Replies(*(asking("clock") for _ in range(3)))
    loop = ReferenceLoop(model, mock_tools(), Config(max_rounds=3))
    said = asyncio.run(loop.send("go"))

    assert "Stopped after 3 rounds." == said.content
    assert said == loop.history[-1]
    assert 3 == len(model.requests)
    assert [] == open_calls(loop.history)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "error",
    [ValueError("no"), TimeoutError("slow"), RecursionError(), OSError(5, "io"), EOFError()],
    ids=lambda error: type(error).__name__,
)
def test_model_error(error: Exception, stream: bool, caplog: pytest.LogCaptureFixture):
    """
    A model that fails is answered for, logged at ERROR with its traceback, and not asked again.
    """
    model = Replies(asking("clock"), error)
    loop = ReferenceLoop(model, mock_tools(), Config(stream=stream))
    said = asyncio.run(loop.send("go"))

    assert said.content.startswith(f"The model call failed: {type(error).__name__}")
    assert ["user", "assistant", "tool", "assistant"] == roles(loop.history)
    assert said == loop.history[-1]
    ((level, kind),) = [(record.levelno, record.exc_info[0]) for record in caplog.records if record.exc_info]
    assert (logging.ERROR, type(error)) == (level, kind)
    assert "Traceback" in caplog.text
    assert (1, 1) == tuple(loop.statistics()[name] for name in ("model_call.failures", "errors_with_traceback"))


def test_model_timeout():
    """
    A model that takes too long is cancelled, and the answer names the limit.
    """

    class Slow(Replies):
        async def acomplete(self, messages: list[Message]) -> Message:
            await asyncio.sleep(60)
            raise AssertionError("it was not cancelled")

    said = asyncio.run(ReferenceLoop(Slow(), {}, Config(model_timeout_s=0.01)).send("go"))

    assert "The model call failed: TimedOut: timed out after 0.01 s" == said.content


@pytest.mark.parametrize("reply", [Message(role="user", content="?"), {"role": "assistant"}, "text"])
def test_reply_of_another_kind(reply: Any):
    """
    A reply that is no assistant message never joins the history.
    """
    loop = ReferenceLoop(Replies(reply), {})

    assert "a model answers with an assistant message" in asyncio.run(loop.send("go")).content
    assert ["user", "assistant"] == roles(loop.history)


def test_stream():
    """
    Streamed text is shown piece by piece, and the whole message joins the history.
    """
    shown: list[str] = []
    loop = ReferenceLoop(Replies(answer("one two three")), {}, Config(stream=True), on_text=shown.append)

    assert answer("one two three") == asyncio.run(loop.send("go"))
    assert ["one", "two", "three"] == shown


def test_stream_without_end():
    """
    A stream that breaks off before its message is a model error.
    """

    class Broken(Replies):
        async def astream(self, messages: list[Message]) -> Any:
            nothing: list[Any] = []
            for chunk in nothing:
                yield chunk

    said = asyncio.run(ReferenceLoop(Broken(), {}, Config(stream=True)).send("go"))
    assert "the stream ended before the message was complete" in said.content


def test_display_that_fails():
    """
    A display that fails ends the request as a failing model does, and the turn with an answer that says so.
    """

    def show(text: str) -> None:
        raise OSError("the terminal is gone")

    loop = ReferenceLoop(Replies(answer("one two")), {}, Config(stream=True), on_text=show)

    assert "The model call failed: OSError: the terminal is gone" == asyncio.run(loop.send("go")).content


# context ------------------------------------------------------------------------------------------


async def slowly(text: str) -> list[str]:
    await asyncio.sleep(0)
    return [text.upper(), "more"]


def test_context():
    """
    Retrieved context stands before the user message in every request of its turn, and never in the history.
    """
    model = Replies(asking("clock"), answer("done"), answer("again"))
    loop = ReferenceLoop(model, mock_tools(), retriever=slowly)
    asyncio.run(loop.send("one"))
    asyncio.run(loop.send("two"))

    first, second = (Message(role="system", content=f"{text}\n\nmore", name="context") for text in ("ONE", "TWO"))
    assert [["context", None], ["context", None, None, None]] == [
        [message.name for message in request] for request in model.requests[:2]
    ]
    assert first == model.requests[0][0]
    assert [*loop.history[:4], second, loop.history[4]] == model.requests[2]
    assert not any(message.name for message in loop.history)


@pytest.mark.parametrize("found", [[], OSError("index is gone")])
def test_no_context(found: list[str] | OSError):
    """
    Where nothing is found, or the search fails, the turn goes on without.
    """

    def find(text: str) -> list[str]:
        if isinstance(found, OSError):
            raise found
        return found

    model = Replies(answer("ok"))
    loop = ReferenceLoop(model, {}, retriever=find)
    asyncio.run(loop.send("go"))

    assert [[Message(role="user", content="go")]] == model.requests
    assert isinstance(found, OSError) == loop.statistics()["context_injection.failures"]


def test_mock_retriever():
    """
    The mock finds the same for the same text.
    """
    assert ["The user's text has 8 characters.", "Its first word is 'hi'."] == mock_retriever("hi there")


# one turn at a time -------------------------------------------------------------------------------


def test_turn_in_progress():
    """
    A second turn on the same conversation is refused while the first is running, and the first is not disturbed.
    """

    async def both(loop: ReferenceLoop) -> tuple[Message | BaseException, ...]:
        return await asyncio.gather(loop.send("one"), loop.send("two"), return_exceptions=True)

    @tool(category="read")
    async def pause() -> None:
        await asyncio.sleep(0)

    loop = ReferenceLoop(Replies(asking("pause"), answer("ok")), {"pause": pause})
    first, second = asyncio.run(both(loop))

    assert answer("ok") == first
    assert isinstance(second, NoTurnNow)
    assert "one" == loop.history[0].content
    assert 4 == len(loop.history)


def test_close():
    """
    A closed conversation can be read and not continued.
    """
    loop = ReferenceLoop(MockModel(), {})
    asyncio.run(loop.send("hello"))
    loop.close()

    with pytest.raises(NoTurnNow, match="closed"):
        asyncio.run(loop.send("hello"))
    assert 2 == len(loop.history)


def test_add_system_during_a_round():
    """
    A system message never comes between a call and its result.
    """

    @tool(category="read")
    async def nag() -> str:
        loop.add_system("be brief")
        return "ok"

    loop = ReferenceLoop(Replies(asking("nag", "nag"), answer("done")), {"nag": nag})
    asyncio.run(loop.send("go"))

    assert ["user", "assistant", "tool", "tool", "system", "system", "assistant"] == roles(loop.history)


# cancellation -------------------------------------------------------------------------------------


def slow_loop() -> ReferenceLoop:
    """A turn with three calls in two rounds, in which everything waits several times."""

    async def wait(*_: Any) -> Any:
        for _step in range(3):
            await asyncio.sleep(0)
        return True

    class Slow(Replies):
        async def acomplete(self, messages: list[Message]) -> Message:
            await wait()
            return await super().acomplete(messages)

    pause = tool(category="read")(wait)
    danger = tool(category="destructive")(wait)
    rounds = asking("pause", "danger"), asking("pause", first=2), answer("done")
    return ReferenceLoop(Slow(*rounds), {"pause": pause, "danger": danger}, approve=wait)


async def cancelled_after(steps: int, loop: ReferenceLoop) -> bool:
    """Cancel a turn when it has been woken *steps* times; return whether it was still running."""
    turn = asyncio.create_task(loop.send("go"))
    for _ in range(steps):
        await asyncio.sleep(0)
    if turn.done():
        return False
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    return True


def test_every_cancel_point():
    """
    Wherever a turn is cancelled, no call is left without a result, and the conversation can go on.
    """
    steps, seen = 1, set()
    while asyncio.run(cancelled_after(steps, loop := slow_loop())):
        assert [] == open_calls(loop.history)
        seen |= {message.content for message in loop.history if message.role == "tool"}
        loop._model = Replies(answer("still here"))
        assert "still here" == asyncio.run(loop.send("hello?")).content
        steps += 1

    assert 7 == len(loop.history)
    assert steps > 20
    assert {"true", "cancelled: outcome unknown", "not run: cancelled"} == seen


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupted_tool(error: type[BaseException]):
    """
    What is to end the program is passed on, after every open call has got its result.
    """

    @tool(category="read")
    async def interrupted() -> None:
        raise error

    tools = mock_tools() | {"interrupted": interrupted}
    loop = ReferenceLoop(Replies(asking("clock", "interrupted", "clock")), tools, Config(parallel=False))
    with pytest.raises(error):
        asyncio.run(loop.send("go"))

    results = [message.content for message in loop.history if message.role == "tool"]
    assert ["cancelled: outcome unknown", "not run: cancelled"] == results[1:]


def test_end_of_turn_after_a_failure():
    """
    A turn that is given up is trimmed like any other.
    """
    loop = ReferenceLoop(Replies(asking("clock"), KeyboardInterrupt()), mock_tools(),
                         Config(policy="end-of-turn", max_history_pairs=0))  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(loop.send("go"))

    assert ["user"] == roles(loop.history)


def test_listener_that_fails():
    """
    A listener that raises ends the turn and still leaves no call open.
    """

    class Bad:
        def appended(self, length: int) -> None:
            if length == 3:
                raise RuntimeError("a bug in the listener")

        def trimmed(self, before: int, after: int, pause_ns: int) -> None: ...

    loop = ReferenceLoop(Replies(asking("clock", "clock")), mock_tools(), Config(parallel=False))
    loop.observe(Bad())
    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(loop.send("go"))

    assert [] == open_calls(loop.history)
    assert "not run: cancelled" == loop.history[-1].content


# contract ------------------------------------------------------------------------------


def test_contract():
    """
    The promises are those of the policy, and the loop's own; a context makes a request one message larger.
    """
    plain = ReferenceLoop(MockModel(), {}, Config(max_rounds=7)).contract
    with_context = ReferenceLoop(MockModel(), {}, retriever=mock_retriever).contract
    never = ReferenceLoop(
        MockModel(), {}, Config(policy="never", approval={"destructive": "deny"}, on_failure="run")
    ).contract

    assert {
        "messages_max": 307,
        "trigger": 307,
        "target": 241,
        "rounds_max": 7,
        "safe_size": 205,
        "notes": ("context",),
        "asks_approval": True,
        "skips_dependants": True,
    } == plain
    assert 308 == with_context["messages_max"]
    refuses = {"asks_approval": False, "skips_dependants": False}
    assert {"safe_size": 205, "rounds_max": 1000, "notes": ("context",), **refuses} == never


def test_contract_is_harness_vocabulary():
    """
    Every promise is one that looprig knows.
    """
    from looprig.loop import Contract

    for policy in ("never", "end-of-turn", "incremental", "seed", "grouped"):
        contract = ReferenceLoop(MockModel(), {}, Config(policy=policy)).contract
        assert contract == {name: getattr(Contract(**contract), name) for name in contract}


def test_trim_attribute():
    """
    The trim is offered as a pure function that always returns what stays; the control offers none.
    """
    loop = ReferenceLoop(MockModel(), {}, Config(policy="end-of-turn", max_history_pairs=1))
    messages = [Message(role="user", content=str(number)) for number in range(5)]

    assert loop.trim is not None
    assert [messages[0], *messages[3:]] == loop.trim(messages)
    assert messages[:2] == loop.trim(messages[:2])
    assert ReferenceLoop(MockModel(), {}, Config(policy="never")).trim is None


# factory ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"polcy": "grouped"}, "unknown option 'polcy'; did you mean 'policy'?"),
        ({"policy": "grupped"}, "unknown policy 'grupped'; did you mean 'grouped'?"),
        ({"policy": "zzz"}, "(known: never, end-of-turn, incremental, seed, grouped, masking, summarising)"),
        ({"retriever": "mok"}, "did you mean 'mock'?"),
        ({"approval": "alow"}, "did you mean 'allow'?"),
        (
            {"approval": {"read": "perhaps"}},
            "approval={'read': 'perhaps'} makes no sense: Invalid enum value 'perhaps'",
        ),
        (
            {"approval": 3},
            "approval=3 makes no sense: Expected `str | object`, got `int` (known: allow, deny, ask)",
        ),
        ({"max_history_pairs": -1}, "max_history_pairs=-1 makes no sense: Expected `int` >= 0"),
        ({"max_history_pairs": "9"}, "max_history_pairs='9' makes no sense: Expected `int`, got `str`"),
        ({"max_history_pairs": True}, "max_history_pairs=True makes no sense: Expected `int`, got `bool`"),
        ({"check_every": 0}, "check_every=0 makes no sense: Expected `int` >= 1"),
        ({"max_rounds": 0}, "max_rounds=0 makes no sense"),
        ({"max_result_chars": 99}, "max_result_chars=99 makes no sense: Expected `int` >= 100"),
        ({"trigger": 10, "target": 11}, "target 11 is above trigger 10"),
        ({"trigger": 100}, "target 241 is above trigger 100"),
        ({"target": 0}, "target=0 makes no sense"),
        ({"policy": "never", "trigger": 9}, "policy 'never' has no trigger"),
        ({"model_timeout_s": 0}, "model_timeout_s=0 makes no sense: Expected `float` > 0.0"),
        ({"tool_timeout_s": float("nan")}, "tool_timeout_s=nan makes no sense"),
        ({"stream": "yes"}, "stream='yes' makes no sense: Expected `bool`, got `str`"),
    ],
)
def test_bad_option(options: dict[str, Any], says: str):
    """
    An option that makes no sense is refused with what to change.
    """
    with pytest.raises(ConfigError) as refused:
        make_loop(MockModel(), {}, **options)
    assert says in str(refused.value)


def test_options():
    """
    Options by name make the loop that they describe.
    """
    loop = make_loop(Replies(answer("ok")), {}, system="be brief", retriever="mock", trigger=50, target=20)
    asyncio.run(loop.send("hi"))
    assert ["system", "user", "assistant"] == roles(loop.history)
    assert (51, 50, 20) == tuple(loop.contract[name] for name in ("messages_max", "trigger", "target"))
    assert isinstance(make_loop(MockModel(), {}), ReferenceLoop)
    assert () == make_loop(MockModel(), {}).history


class Asked(dict[str, Any]):
    """Tools with somebody who approves, as looprig hands them to a loop."""

    def __init__(self, approves: bool) -> None:
        super().__init__(mock_tools())
        self.approves = approves
        self.questions: list[tuple[str, str, str]] = []

    def approve(self, call_id: str, name: str, arguments: str) -> bool:
        self.questions.append((call_id, name, arguments))
        return self.approves


@pytest.mark.parametrize(
    ("approval", "approves", "asked", "says"),
    [
        ({}, True, True, "deleted 'milk'"),
        ({}, False, True, "denied: not approved"),
        ("allow", False, False, "deleted 'milk'"),
        ("deny", True, False, "denied: the policy does not allow destructive tools"),
    ],
)
def test_approval_option(approval: Any, approves: bool, asked: bool, says: str):
    """
    Where the tools have somebody to approve, the default asks before what is destructive, and the others never ask.
    """
    tools = Asked(approves)
    loop = make_loop(MockModel(), tools, approval=approval)
    assert isinstance(loop, ReferenceLoop)
    asyncio.run(tools["write_note"].arun({"title": "milk", "text": "buy"}))

    assert f"The tool says: {says}" == asyncio.run(loop.send("delete milk")).content
    assert ([("call_1", "delete_note", '{"title": "milk"}')] if asked else []) == tools.questions


def test_config_is_frozen():
    """
    A configuration is a value.
    """
    change: Callable[..., None] = setattr
    with pytest.raises(AttributeError):
        change(Config(), "policy", "never")
    assert Config(approval={"read": "ask"}) == Config(approval={"read": "ask"})
