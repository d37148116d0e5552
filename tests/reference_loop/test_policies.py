"""Every policy on random histories, and ``grouped`` against what it promises."""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig import testing
from looprig.messages import Message, ToolCall
from looprig.runner import run
from reference_loop import POLICIES, Config, make_loop
from reference_loop.history import History, pure_trim
from reference_loop.policies.grouped import Grouped
from reference_loop.policies.masking import MASK, Masking
from reference_loop.policies.summarising import SUMMARY_NAME, Summarising
from tests.invariants.planted import SIZES, standard_scenario

DROPPING = ["end-of-turn", "incremental", "seed", "grouped"]

pairs_s = st.integers(0, 6)
ids_s = st.sampled_from("abc")  # few, so that they are used again


@st.composite
def valid_histories(draw: st.DrawFn, *, pending: bool = True) -> list[Message]:
    """Turns as a loop makes them: groups are adjacent, ids come back in later groups, systems stand anywhere.

    Every message has its index for content. The newest group may be waiting for results.
    """
    numbers = count()
    messages: list[Message] = []

    def add(role: str, **more: object) -> None:
        messages.append(Message(role=role, content=str(next(numbers)), **more))  # type: ignore[arg-type]
        if draw(st.integers(0, 9)) == 0:
            messages.append(Message(role="system", content=str(next(numbers))))

    def add_group(arrived: int | None = None) -> None:
        ids = draw(st.lists(ids_s, min_size=1, max_size=3))
        add("assistant", tool_calls=tuple(ToolCall(id=each, name="t") for each in ids))
        for each in ids[:arrived]:
            add("tool", tool_call_id=each)

    for rounds in draw(st.lists(st.integers(0, 6), max_size=12)):
        add("user")
        for _ in range(rounds):
            add_group()
        add("assistant")
    match draw(st.sampled_from(["over", "asked", "pending" if pending else "asked"])):
        case "asked":
            add("user")
        case "pending":
            add("user")
            for _ in range(draw(st.integers(0, 9))):
                add_group()
            add_group(draw(st.integers(0, 2)))
    return messages


@st.composite
def broken_histories(draw: st.DrawFn) -> list[Message]:
    """Messages in any order: orphans, calls that nobody answered, users between a call and its result."""
    messages = []
    for number in range(draw(st.integers(0, 50))):
        role = draw(st.sampled_from(["system", "user", "assistant", "call", "call", "tool", "tool"]))
        if role == "call":
            ids = draw(st.lists(ids_s, min_size=1, max_size=3))
            calls = tuple(ToolCall(id=each, name="t") for each in ids)
            messages.append(Message(role="assistant", content=str(number), tool_calls=calls))
        elif role == "tool":
            messages.append(Message(role="tool", content=str(number), tool_call_id=draw(ids_s)))
        else:
            messages.append(Message(role=role, content=str(number)))  # type: ignore[arg-type]
    return messages


def owners(messages: list[Message]) -> dict[int, int]:
    """Map each answered result to its call's message, the newest assistant message, where it has the id to answer."""
    found: dict[int, int] = {}
    open_calls: list[tuple[str, int]] = []
    for index, message in enumerate(messages):
        if message.role == "assistant":
            open_calls = [(call.id, index) for call in message.tool_calls]
        elif message.role == "tool":
            answered = next((call for call in open_calls if call[0] == message.tool_call_id), None)
            if answered is not None:
                open_calls.remove(answered)
                found[index] = answered[1]
    return found


def pending(messages: list[Message]) -> set[int]:
    """The newest group, where it waits for a result, with what has arrived."""
    owner = owners(messages)
    newest = max((index for index, message in enumerate(messages) if message.role == "assistant"), default=-1)
    results = {result for result, call in owner.items() if call == newest}
    return {newest} | results if newest >= 0 and len(messages[newest].tool_calls) > len(results) else set()


def trimmed(name: str, pairs: int, messages: list[Message]) -> list[Message]:
    trim = pure_trim(Config(policy=name, max_history_pairs=pairs).new_policy)
    assert trim is not None
    return trim(messages)


def kept_by(pairs: int, messages: list[Message]) -> list[int]:
    return [int(message.content) for message in trimmed("grouped", pairs, messages)]


histories_s = valid_histories() | broken_histories()


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "never"])
@given(pairs_s, histories_s)
def test_trim(name: str, pairs: int, messages: list[Message]):
    """
    A trim does nothing the second time, decides the same every time, and leaves what it was given alone.
    """
    given_ = list(messages)
    kept = trimmed(name, pairs, messages)

    assert given_ == messages
    assert kept == trimmed(name, pairs, messages)
    assert kept == trimmed(name, pairs, kept)
    assert kept is not messages


@pytest.mark.parametrize("name", DROPPING)
@given(pairs_s, histories_s)
def test_trim_drops(name: str, pairs: int, messages: list[Message]):
    """
    A trim that drops takes whole messages away and keeps the order of the others.
    """
    indices = [int(message.content) for message in trimmed(name, pairs, messages)]

    assert sorted(set(indices)) == indices
    assert [messages[index] for index in indices] == trimmed(name, pairs, messages)


@pytest.mark.parametrize("name", ["incremental", "grouped", "summarising"])
@given(pairs_s, histories_s)
def test_history_trims_like_the_pure_function(name: str, pairs: int, messages: list[Message]):
    """
    What a policy makes of a history that grows is at each append what its trim makes of what was left before.
    """
    history = History(Config(policy=name, max_history_pairs=pairs).new_policy())
    for message in messages:
        expected = trimmed(name, pairs, [*tuple(history.request()), message])
        history.append(message)
        assert expected == history.request()
        assert len(expected) == len(history)


@given(pairs_s, histories_s)
def test_grouped_keeps_systems_and_the_newest(pairs: int, messages: list[Message]):
    """
    All system messages stay, and so do the newest user message, the newest other message and a group that waits.
    """
    kept = set(kept_by(pairs, messages))
    users = [index for index, message in enumerate(messages) if message.role == "user"]
    others = [index for index, message in enumerate(messages) if message.role != "system"]

    assert {*range(len(messages))} - {*others} <= kept
    assert {*users[-1:], *others[-1:]} <= kept
    assert pending(messages) <= kept


@given(pairs_s, histories_s)
def test_grouped_keeps_groups_whole(pairs: int, messages: list[Message]):
    """
    A call and its result stay or go together, also where ids are used again, also in a broken history.
    """
    kept = set(kept_by(pairs, messages))

    assert {} == {result: call for result, call in owners(messages).items() if (result in kept) != (call in kept)}


@given(pairs_s, histories_s)
def test_grouped_begins_with_a_user_message(pairs: int, messages: list[Message]):
    """
    The first message that is not a system message is a user's, if there was one before it at all.
    """
    first = next((index for index in kept_by(pairs, messages) if messages[index].role != "system"), 0)

    assert not messages or messages[first].role == "user" or "user" not in {each.role for each in messages[:first]}


def choices(messages: list[Message]) -> list[set[int]]:
    """Every set that may stay of a valid history, by its definition and slowly: pins and a suffix of whole units."""
    owner = owners(messages)
    body = [index for index, message in enumerate(messages) if message.role != "system"]
    users = [index for index in body if messages[index].role == "user"]
    pins = {*range(len(messages))} - {*body} | {*users[-1:]}
    starts = [index for index in body if index not in owner]
    return [pins | {*range(start, len(messages))} for start in starts if start in users or start > users[-1]]


@given(pairs_s, valid_histories())
def test_grouped_reaches_its_target_and_wastes_nothing(pairs: int, messages: list[Message]):
    """
    Of all sets that may stay, the largest that fits the target stays, or the smallest of all where none fits.
    """
    policy = Grouped(pairs)
    kept = kept_by(pairs, messages)
    if len(messages) <= policy.trigger:
        assert len(messages) == len(kept)
        return
    sizes = [len(choice) for choice in choices(messages)] or [len(messages)]
    expected = max((size for size in sizes if size <= policy.target), default=min(sizes))

    assert expected == len(kept)
    assert set(kept) in choices(messages) or expected == len(messages)


@given(pairs_s, valid_histories(pending=False), st.integers(1, 4))
def test_grouped_while_it_grows(pairs: int, messages: list[Message], check_every: int):
    """
    After each check a history is no longer than the trigger, or than what must stay alone.
    """
    policy = Grouped(pairs)
    history = History(policy, check_every=check_every)
    for number, message in enumerate(messages):
        history.append(message)
        if number % check_every == 0:
            remembered = history.request()
            least = min(map(len, choices(remembered)), default=len(remembered))
            assert len(remembered) <= max(policy.trigger, least)


@pytest.mark.parametrize(("target", "left"), [(7, 7), (6, 5), (5, 5), (2, 1)])
def test_grouped_cuts_between_turns(target: int, left: int):
    """
    Of turns that are over, the newest stay that fit the target, up to its last message.
    """
    messages = [Message(role="user" if number % 2 == 0 else "assistant", content=str(number)) for number in range(11)]
    trim = pure_trim(lambda: Grouped(3, trigger=10, target=target))
    assert trim is not None

    assert messages[-left:] == trim(messages)


def test_grouped_in_a_long_turn():
    """
    Inside one turn the user message is pinned and the newest groups stay; the answered older ones go.
    """
    messages = [Message(role="system", content="s"), Message(role="user", content="u")]
    for number in range(10):
        messages.append(Message(role="assistant", tool_calls=(ToolCall(id="same", name="t"),)))
        messages.append(Message(role="tool", content=str(number), tool_call_id="same"))

    for target, groups in ((4, 1), (5, 1), (6, 2)):
        trim = pure_trim(lambda target=target: Grouped(3, trigger=10, target=target))  # type: ignore[misc]
        assert trim is not None
        assert messages[:2] + messages[-2 * groups :] == trim(messages)


def test_call_that_is_never_answered():
    """
    A user message behind a call without result stays in its group; the next assistant message begins a unit again.
    """
    user = [Message(role="user", content=str(number)) for number in range(4)]
    call = Message(role="assistant", tool_calls=(ToolCall(id="x", name="t"),))
    reply = Message(role="assistant", content="a")
    trim = pure_trim(lambda: Grouped(0, trigger=2, target=2))
    assert trim is not None

    assert [user[0], call, user[1]] == trim([user[0], call, user[1]])
    assert [user[1], reply] == trim([user[0], call, user[1], reply])
    assert [user[2]] == trim([user[0], call, user[1], reply, user[2]])


def test_users_behind_a_group_that_was_dropped():
    """
    A group is looked at once: when it has been dropped, the later user messages behind it begin turns as well.
    """
    group = [Message(role="assistant", tool_calls=(ToolCall(id="x", name="t"),)), Message("tool", "r", (), "x")]
    users = [Message(role="user", content=str(number)) for number in range(6)]
    history = History(Grouped(0, trigger=4, target=1))
    for message in (users[0], Message(role="assistant"), *group, *users[1:]):
        history.append(message)

    assert users[5:] == history.request()


def test_grouped_with_a_huge_round():
    """
    A round of thousands of calls, of which nothing may be dropped, is not trimmed in vain at each result.
    """
    asked = 0

    class Counting(Grouped):
        def trim(self, turn_over):
            nonlocal asked
            asked += 1
            super().trim(turn_over)

    history = History(Counting(10))
    history.append(Message(role="user"))
    history.append(Message(role="assistant", tool_calls=tuple(ToolCall(id=str(n), name="t") for n in range(5000))))
    for number in range(5000):
        history.append(Message(role="tool", tool_call_id=str(number)))

    assert 5002 == len(history)
    assert 0 == asked


@given(pairs_s, valid_histories())
def test_grouped_looks_at_nothing_old(pairs: int, messages: list[Message]):
    """
    A trim reads none of the messages that it drops or keeps, and drops at least one.
    """
    policy = Grouped(pairs)
    for number, message in enumerate(messages):
        policy.tail.append(message)
        policy.note(message, number)
        if number >= policy.due:
            tail, policy.tail = policy.tail, deque()  # Reading from it would find nothing.
            before = policy.dropped
            policy.trim(turn_over=False)
            policy.tail = tail
            assert before < policy.dropped <= number


@pytest.mark.parametrize("name", ["incremental", "seed", "grouped", "summarising"])
@given(pairs=st.integers(0, 400))
def test_trigger(name: str, pairs: int):
    """
    Nothing happens at 1.5 safe sizes, rounded down; one message more is trimmed.
    """
    history = History(Config(policy=name, max_history_pairs=pairs).new_policy())
    limit = int(1.5 * (2 * pairs + 5))
    for number in range(limit):
        history.append(Message(role="user" if number % 2 == 0 else "assistant", content=str(number)))
    assert limit == len(history)

    result = Message(role="tool", content=str(limit), tool_call_id="x")
    history.append(result)
    # grouped leaves the user message and the newest unit even where a target of 1 leaves no room for them
    assert len(history) <= max(1 + 2 * int(1.2 * pairs), 3 + (name == "summarising"))
    assert result == tuple(history.request())[-1] or pairs == 0


@given(pairs=st.integers(0, 400))
def test_end_of_turn(pairs: int):
    """
    After a turn the first message and the last 2p stay, and a history of 2p + 1 is left alone.
    """
    history = History(Config(policy="end-of-turn", max_history_pairs=pairs).new_policy())
    messages = [Message(role="user", content=str(number)) for number in range(2 * pairs + 2)]
    for message in messages[:-1]:
        history.append(message)
    history.end_turn()
    assert messages[:-1] == history.request()

    history.append(messages[-1])
    assert messages == history.request()
    for _ in range(2):
        history.end_turn()
        assert messages[:1] + messages[2:] == history.request()


def test_seed():
    """
    The seed's policy trims like ``incremental`` when a tool result comes in, and like ``end-of-turn`` after the turn.
    """
    history = History(Config(policy="seed", max_history_pairs=10).new_policy())
    plain = [Message(role="user", content=str(number)) for number in range(60)]
    result = Message(role="tool", tool_call_id="x")
    for message in plain:
        history.append(message)
    assert plain == history.request()

    history.append(result)
    assert [plain[0], *plain[-23:], result] == history.request()
    history.end_turn()
    assert [plain[0], *plain[-19:], result] == history.request()


def test_never():
    """
    The control drops nothing and offers no trim.
    """
    new_policy = Config(policy="never", max_history_pairs=0).new_policy
    history = History(new_policy())
    for _ in range(1000):
        history.append(Message(role="tool"))
    history.end_turn()

    assert 1000 == len(history)
    assert pure_trim(new_policy) is None
    assert {} == new_policy().promises()


@given(pairs_s, histories_s)
def test_masking_takes_old_results_alone(pairs: int, messages: list[Message]):
    """
    Masking changes texts of tool results and nothing else, and none among the newest, nor one not sent yet.
    """
    policy = Masking(pairs)
    kept = trimmed("masking", pairs, messages)
    changed = [index for index, (old, new) in enumerate(zip(messages, kept, strict=True)) if old != new]
    replies = [index for index, message in enumerate(messages) if message.role == "assistant"]

    assert all(kept[index] == Message("tool", MASK, (), messages[index].tool_call_id) for index in changed)
    assert all(messages[index].role == "tool" for index in changed)
    assert all(index < min(len(messages) - policy.target, replies[-1]) for index in changed)


@given(pairs_s, valid_histories())
def test_masks_come_in_batches(pairs: int, messages: list[Message]):
    """
    Masks come when more than the trigger lie behind the newest one, and then for all that is old and was sent.
    """
    policy = Masking(pairs)
    history, before = History(policy), 0
    for number, message in enumerate(messages):
        history.append(message)
        masked = list(policy.head())
        reply = max((index for index in range(number + 1) if messages[index].role == "assistant"), default=0)
        goal = min(number + 1 - policy.target, reply)
        if len(masked) > before:
            assert number + 1 - before > policy.trigger
            assert goal == len(masked)
            assert all(each.role != "tool" or each.content == MASK for each in masked)
        assert number + 1 - len(masked) <= policy.trigger or len(masked) == goal
        before = len(masked)

    assert len(messages) == len(history)


@given(pairs_s, histories_s)
def test_summarising_keeps_one_summary(pairs: int, messages: list[Message]):
    """
    A history that was trimmed has one summary, in front of all but system messages; the rest stays in order.
    """
    history = History(Summarising(pairs))
    for message in messages:
        history.append(message)
    kept = history.request()
    places = [place for place, message in enumerate(kept) if message.name == SUMMARY_NAME]
    indices = [int(message.content) for message in kept if message.name != SUMMARY_NAME]

    assert len(places) == (len(indices) < len(messages))
    assert sorted(set(indices)) == indices
    for place in places:
        assert {"system"} >= {message.role for message in kept[:place]}
        assert "user" == kept[place].role
        assert "user" == kept[place + 1].role or "user" not in {each.role for each in messages[: indices[place]]}


@given(pairs_s, valid_histories())
def test_summary_has_heard_everything(pairs: int, messages: list[Message]):
    """
    What is summarised, one time after the other, and what is left are together all that was said, each once.
    """
    heard: list[Message] = []

    class Listing(Summarising):
        @staticmethod
        def summarise(before, dropped):
            assert before == str(len(heard) or "")
            heard.extend(dropped)
            return str(len(heard))

    history = History(Listing(pairs))
    for message in messages:
        history.append(message)
    left = [message for message in history.request() if message.name != SUMMARY_NAME]

    assert messages == sorted([*heard, *left], key=lambda message: int(message.content))


def test_summary():
    """
    The summary made by rule has the beginnings of the five newest user messages that were dropped, however many were.
    """
    history = History(Summarising(0, trigger=4, target=3))
    for number in range(100):
        history.append(Message(role="user", content=f"{number}\n{'x' * 1000}"))
        history.append(Message(role="assistant", content="a"))
    summary = history.request()[0]

    assert SUMMARY_NAME == summary.name
    lines = [f"- {number} {'x' * 77}" for number in range(94, 99)]
    assert lines == summary.content.splitlines()[1:]


def test_promises():
    """
    What each policy promises at 100 pairs is what the design says.
    """
    promised = {name: Config(policy=name).new_policy().promises() for name in POLICIES}

    assert {
        "never": {},
        "end-of-turn": {"trigger": 201, "target": 201},
        "incremental": {"messages_max": 307, "trigger": 307, "target": 241},
        "seed": {"messages_max": 307, "trigger": 201, "target": 201},
        "grouped": {"messages_max": 307, "trigger": 307, "target": 241},
        "masking": {"mask": MASK},
        "summarising": {"messages_max": 307, "trigger": 307, "target": 241, "notes": (SUMMARY_NAME,)},
    } == promised


@pytest.mark.parametrize("scenario", SIZES)
@pytest.mark.parametrize("policy", ["grouped", "masking", "summarising"])
@pytest.mark.parametrize("pairs", [100, 10, 1])
def test_no_invariant_is_broken(policy: str, scenario: str, pairs: int):
    """
    Loops that group, mask or summarise break nothing in any standard scenario, also with a retriever beside.
    """

    def looped(model: Any, tools: Any) -> Any:
        return make_loop(model, tools, policy=policy, max_history_pairs=pairs, retriever="mock")

    assert {} == run(standard_scenario(scenario), looped).broken


def test_masks_add_nothing_to_the_conversation():
    """
    For the metrics a masked result is the result that it was, not a message that joins the conversation anew.
    """
    masked, plain = (
        testing.play(partial(make_loop, policy=policy, max_history_pairs=5), "pending_calls", messages=200).metrics
        for policy in ("masking", "never")
    )

    assert masked["trims"] > 0
    assert masked["tokens_sent"] < plain["tokens_sent"]
    for name in ("messages_said", "messages_sent", "history_messages_final", "tool_runs", "requests"):
        assert plain[name] == masked[name]
    assert 0 == masked["messages_trimmed"]
