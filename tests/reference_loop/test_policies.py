"""Every policy on random histories, and ``grouped`` against what it promises."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprig.messages import Message, ToolCall
from reference_loop import POLICIES, Config
from reference_loop.history import History
from reference_loop.policies.grouped import Grouped, lay_out

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
    """Map each answered result to its call's message: the nearest before it with the id and no result yet."""
    found: dict[int, int] = {}
    open_calls: list[tuple[str, int]] = []
    for index, message in enumerate(messages):
        open_calls += [(call.id, index) for call in message.tool_calls]
        if message.role != "tool":
            continue
        for place in range(len(open_calls) - 1, -1, -1):
            if open_calls[place][0] == message.tool_call_id:
                found[index] = open_calls.pop(place)[1]
                break
    return found


def pending(messages: list[Message]) -> set[int]:
    """The calls' messages that wait for a result, with what has arrived."""
    owner = owners(messages)
    waiting = {
        index
        for index, message in enumerate(messages)
        if len(message.tool_calls) > sum(call == index for call in owner.values())
    }
    return waiting | {result for result, call in owner.items() if call in waiting}


def kept_by(pairs: int, messages: list[Message]) -> list[int]:
    kept = Grouped(pairs).trim(messages)
    return list(range(len(messages))) if kept is None else [int(message.content) for message in kept]


histories_s = valid_histories() | broken_histories()


@pytest.mark.parametrize("name", [name for name in POLICIES if name != "never"])
@given(pairs_s, histories_s)
def test_trim(name: str, pairs: int, messages: list[Message]):
    """
    A trim drops whole messages and keeps their order, does nothing the second time, decides the same every time, and
    leaves what it was given alone.
    """
    trim = Config(policy=name, max_history_pairs=pairs).new_policy().trim
    assert trim is not None
    given_ = list(messages)
    kept = trim(messages)

    assert given_ == messages
    assert kept == trim(tuple(messages))
    if kept is not None:
        assert trim(kept) is None
        assert kept is not messages
        indices = [int(message.content) for message in kept]
        assert sorted(set(indices)) == indices
        assert len(kept) < len(messages)


@given(pairs_s, histories_s)
def test_grouped_keeps_systems_and_the_newest(pairs: int, messages: list[Message]):
    """
    All system messages stay, and so do the newest user message, the newest other message and every pending group.
    """
    kept = set(kept_by(pairs, messages))

    assert {index for index, message in enumerate(messages) if message.role == "system"} <= kept
    assert {index for index, message in enumerate(messages) if message.role == "user"} <= kept | set(
        [index for index, message in enumerate(messages) if message.role == "user"][:-1]
    )
    assert pending(messages) <= kept
    assert {index for index, message in enumerate(messages) if message.role != "system"} <= kept | set(
        [index for index, message in enumerate(messages) if message.role != "system"][:-1]
    )


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
    if len(messages) <= policy.limits.trigger:
        assert len(messages) == len(kept)
        return
    sizes = [len(choice) for choice in choices(messages)] or [len(messages)]
    expected = max((size for size in sizes if size <= policy.limits.target), default=min(sizes))

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
            remembered = list(history.snapshot())
            least = min(map(len, choices(remembered)), default=len(remembered))
            assert len(remembered) <= max(policy.limits.trigger, least)


def test_grouped_in_a_long_turn():
    """
    Inside one turn the user message is pinned and the newest groups stay; the answered older ones go.
    """
    messages = [Message(role="system", content="s"), Message(role="user", content="u")]
    for number in range(10):
        messages.append(Message(role="assistant", tool_calls=(ToolCall(id="same", name="t"),)))
        messages.append(Message(role="tool", content=str(number), tool_call_id="same"))

    assert messages[:2] + messages[-2:] == Grouped(3, trigger=10, target=4).trim(messages)
    assert messages[:2] + messages[-2:] == Grouped(3, trigger=10, target=5).trim(messages)
    assert messages[:2] + messages[-4:] == Grouped(3, trigger=10, target=6).trim(messages)


def test_id_used_again():
    """
    A result answers the nearest call with its id; one that was forgotten in an older turn keeps waiting.
    """
    user, result = Message(role="user"), Message(role="tool", tool_call_id="x")
    call = Message(role="assistant", tool_calls=(ToolCall(id="x", name="t"),))
    layout = lay_out([user, call, user, call, result, user])

    assert [0, 1, 2, 3, 5] == layout.units
    assert [1] == layout.pending


def test_grouped_with_a_huge_round():
    """
    A round of thousands of calls is looked through once, not once for each result.
    """
    looked = 0

    class Counting(Grouped):
        def trim(self, messages):
            nonlocal looked
            looked += len(messages)
            return super().trim(messages)

    history = History(Counting(10))
    history.append(Message(role="user"))
    history.append(Message(role="assistant", tool_calls=tuple(ToolCall(id=str(n), name="t") for n in range(5000))))
    for number in range(5000):
        history.append(Message(role="tool", tool_call_id=str(number)))

    assert 5002 == len(history)
    assert looked < 5002


@pytest.mark.parametrize("name", ["incremental", "seed", "grouped"])
@given(pairs=st.integers(0, 400))
def test_trigger(name: str, pairs: int):
    """
    Nothing happens at 1.5 safe sizes, rounded down; one message more is trimmed.
    """
    policy = Config(policy=name, max_history_pairs=pairs).new_policy()
    limit = int(1.5 * (2 * pairs + 5))
    plain = [Message(role="user" if number % 2 == 0 else "assistant", content=str(number)) for number in range(limit)]
    result = Message(role="tool", content=str(limit), tool_call_id="x")

    assert policy.on_append([*plain[:-1], result]) is None
    trim = policy.on_append([*plain, result])
    assert trim is not None
    kept = trim([*plain, result])
    assert kept is not None
    # grouped leaves the user message and the newest unit even where a target of 1 leaves no room for them
    assert len(kept) <= max(1 + 2 * int(1.2 * pairs), 3)
    assert result in kept or pairs == 0


@given(pairs=st.integers(0, 400))
def test_end_of_turn(pairs: int):
    """
    After a turn the first message and the last 2p stay, and a history of 2p + 1 is left alone.
    """
    policy = Config(policy="end-of-turn", max_history_pairs=pairs).new_policy()
    messages = [Message(role="user", content=str(number)) for number in range(2 * pairs + 2)]

    assert policy.on_append(messages) is None
    assert policy.on_turn_end(messages[1:]) is None
    trim = policy.on_turn_end(messages)
    assert trim is not None
    assert messages[:1] + messages[2:] == trim(messages)


def test_seed():
    """
    The seed's policy trims like ``incremental`` when a tool result comes in, and like ``end-of-turn`` after the turn.
    """
    policy = Config(policy="seed", max_history_pairs=10).new_policy()
    plain = [Message(role="user", content=str(number)) for number in range(60)]
    result = Message(role="tool", tool_call_id="x")

    assert policy.on_append(plain) is None
    during, after = policy.on_append([*plain, result]), policy.on_turn_end(plain)
    assert during is not None
    assert after is not None
    assert [plain[0], *plain[-23:], result] == during([*plain, result])
    assert [plain[0], *plain[-20:]] == after(plain)


def test_never():
    """
    The control drops nothing and offers no trim.
    """
    policy = Config(policy="never", max_history_pairs=0).new_policy()
    messages = [Message(role="tool")] * 1000

    assert (None, None, None) == (policy.on_append(messages), policy.on_turn_end(messages), policy.trim)
    assert {} == policy.promises()


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
    } == promised
