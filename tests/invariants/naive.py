"""A second opinion: the rules about requests, judged from scratch on complete message lists.

Nothing here is incremental, clever or fast. It is right for conversations in which no two messages are equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from looprig.loop import Contract
from looprig.messages import Message
from looprig.tokens import estimate, message_tokens


@dataclass(frozen=True)
class Requested:
    """The loop sent these messages."""

    messages: list[Message]


Log = list[Message | Requested]
"""What was said (by the user, the model, and the application) and sent, in order."""


def first_violations(log: Log, contract: Contract) -> dict[str, int]:
    """Return for each code at which request, counted from 1, it is first broken."""
    first: dict[str, int] = {}
    number = 0
    for at, entry in enumerate(log):
        if isinstance(entry, Requested):
            number += 1
            for code in _broken(log[:at], entry.messages, contract):
                first.setdefault(code, number)
    return first


def _broken(past: Log, sent: list[Message], contract: Contract) -> Iterator[str]:
    said = [entry for entry in past if isinstance(entry, Message)]
    requests = [entry.messages for entry in past if isinstance(entry, Requested)]
    user = [message for message in said if message.role == "user"][-1]
    talk = [message for message in sent if message.role != "system"]

    first = requests[0] if requests else sent
    lead = first[: next((n for n, message in enumerate(first) if message.role != "system"), len(first))]
    systems = [message for message in said if message.role == "system"]
    if any(message not in sent for message in systems) or sent[: len(lead)] != lead:
        yield "LR101"
    if user not in sent:
        yield "LR102"
    if talk and talk[0].role != "user":
        yield "LR104"

    reply = said[-1] if said[-1].tool_calls else None
    needed = [message for message in sent if message.role == "system"] + [user]
    if reply is not None:
        ids = [call.id for call in reply.tool_calls]
        behind = sent[sent.index(reply) :] if reply in sent else []
        needed += [reply, *(message for message in behind if message.tool_call_id in ids)]
    if contract.messages_max and len(sent) > contract.messages_max >= len(needed):
        yield "LR105"
    if contract.tokens_max and _tokens(sent) > contract.tokens_max >= _tokens(needed):
        yield "LR106"
    if requests and _hole(past, requests[-1], sent, user):
        yield "LR108"
    yield from _pairing(sent)


def _tokens(messages: list[Message]) -> int:
    return sum(message_tokens(message, estimate) for message in messages)


def _hole(past: Log, before: list[Message], sent: list[Message], user: Message) -> bool:
    """Whether something was dropped that is newer than something that was kept."""
    said = [entry for entry in past if isinstance(entry, Message)]
    last = max(at for at, entry in enumerate(past) if isinstance(entry, Requested))
    asked = [entry for entry in past[:last] if isinstance(entry, Message) and entry.role == "user"][-1]
    since = [entry for entry in past[last:] if isinstance(entry, Message)]
    calls = {call.id: message for message in said for call in message.tool_calls}

    def age(message: Message) -> int:
        return said.index(calls[message.tool_call_id] if message.tool_call_id else message)

    apart = [message for message in [*before, *sent] if message.role == "system"] + [user]
    dropped = [m for m in [*before, *since] if m not in sent and m not in apart and m.role != "system"]
    kept = [m for m in sent if m not in apart and m != asked]
    return bool(dropped and kept) and min(map(age, kept)) < max(map(age, dropped))


def _pairing(sent: list[Message]) -> Iterator[str]:
    for at, message in enumerate(sent):
        for call in message.tool_calls:
            if not any(other.tool_call_id == call.id for other in sent[at + 1 :]):
                yield "LR122"
        if message.role != "tool":
            continue
        ids = [[call.id for call in other.tool_calls] for other in sent[:at]]
        owner = next((n for n, asked in enumerate(ids) if message.tool_call_id in asked), None)
        if owner is None:
            yield "LR121"
        elif any(other.role != "tool" for other in sent[owner + 1 : at]):
            yield "LR123"
        if owner is not None and message in sent[owner + 1 : at]:
            yield "LR124"
