"""What a server has seen, as data: sessions, what was refused and what is broken, totals, and Prometheus text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from looprig.invariants import RULES, Violation
from looprig.providers.base import Problem, Usage
from looprig.server.sessions import Conversation
from looprig.serving.prometheus import family

KEPT_PER_CODE = 20
"""Findings of one kind that are kept in full; further ones are only counted."""

SESSIONS_SHOWN = 1000

LETTERS = {"system": "S", "developer": "S", "user": "U", "tool": "T", "function": "T", "model": "A", "assistant": "A"}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A finding: an invariant that a session broke, or a rule for which its provider refused a request."""

    code: str
    what: str
    provider: str
    session: int
    turn: int
    request: int | None
    because: str
    shape: str = ""
    status: int | None = None
    param: str | None = None
    pinned: bool = True


class Tally:
    """What one provider's answers added up to, and how many requests got each status."""

    __slots__ = ("answered", "cached", "completion", "prompt", "statuses")

    def __init__(self) -> None:
        self.answered = 0
        """Requests that got status 200."""
        self.statuses: Counter[int] = Counter()
        """Those that got another one."""
        self.prompt = 0
        self.cached = 0
        self.completion = 0

    def spent(self, usage: Usage) -> None:
        """Count the tokens of an answer."""
        self.prompt += usage.prompt
        self.cached += usage.cached
        self.completion += usage.completion

    def by_status(self) -> dict[int, int]:
        """Return how many requests got each status."""
        return {200: self.answered, **self.statuses}

    @property
    def requests(self) -> int:
        """How many requests were answered, whatever the answer."""
        return self.answered + sum(self.statuses.values())


class Journal:
    """Counts what happens, and keeps the first findings of each kind."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.broken: Counter[str] = Counter()
        self.stops: Counter[str] = Counter()
        """Turns that were stopped and that no invariant is broken by otherwise."""
        self.faults: Counter[str] = Counter()
        self.tallies: defaultdict[str, Tally] = defaultdict(Tally)
        self.findings: list[Found] = []
        self.open = 0
        self.gone = 0
        """Sessions that are no longer known one by one."""
        self._kept: Counter[str] = Counter()

    @property
    def requests(self) -> int:
        """How many requests were answered, whatever the answer."""
        return sum(tally.requests for tally in self.tallies.values())

    def violated(self, provider: str, violation: Violation) -> None:
        """Keep a violation; they are counted where they are found."""
        self._keep(
            Found(
                code=violation.code,
                what=violation.invariant,
                provider=provider,
                session=violation.session,
                turn=violation.turn,
                request=violation.request,
                because=violation.because,
                shape=violation.shape,
            )
        )

    def stopped(self, conversation: Conversation, why: str) -> None:
        """Note that a turn was stopped that no invariant is broken by."""
        conversation.broken["LR152"] = conversation.broken.get("LR152", 0) + 1
        self.stops["LR152"] += 1
        self._keep(
            Found(
                code="LR152",
                what=RULES["LR152"].name,
                provider=conversation.provider,
                session=conversation.number,
                turn=conversation.turn,
                request=conversation.requests,
                because=why,
            )
        )

    def refuse(self, conversation: Conversation, problem: Problem, raw: bytes) -> None:
        """Note that a provider's rule refused a request."""
        self.refused[problem.rule] += 1
        if self._kept[problem.rule] < KEPT_PER_CODE:
            self._keep(
                Found(
                    code=problem.rule,
                    what="refused",
                    provider=conversation.provider,
                    session=conversation.number,
                    turn=conversation.turn,
                    request=conversation.requests,
                    because=problem.message,
                    shape=shape_of(raw),
                    status=problem.status,
                    param=problem.param,
                    pinned=problem.pinned,
                )
            )

    def _keep(self, found: Found) -> None:
        self._kept[found.code] += 1
        if self._kept[found.code] <= KEPT_PER_CODE:
            self.findings.append(found)


def shape_of(raw: bytes, at_most: int = 24) -> str:
    """Return the messages of a body in letters, as far as any of the providers' spellings is recognised in it."""
    try:
        body = msgspec.json.decode(raw)
        items = next(body[key] for key in ("messages", "input", "contents") if isinstance(body.get(key), list))
    except (msgspec.DecodeError, UnicodeDecodeError, AttributeError, TypeError, StopIteration):
        return ""
    letters = [_letter(item) for item in items]
    if len(letters) > at_most:
        letters = [*letters[: at_most - 8], f"..{len(letters) - at_most}..", *letters[-8:]]
    return " ".join(letters)


def _letter(item: Any) -> str:
    if not isinstance(item, Mapping):
        return "?"
    kind = item.get("type")
    if kind in ("function_call", "function_call_output"):
        return "C1" if kind == "function_call" else "T"
    parts = [part for part in (item.get("content"), item.get("parts")) if isinstance(part, list)]
    inside = [part for each in parts for part in each if isinstance(part, Mapping)]
    calls = len(item.get("tool_calls") or ()) if isinstance(item.get("tool_calls"), list) else 0
    calls += sum(1 for part in inside if part.get("type") == "tool_use" or "functionCall" in part)
    if calls:
        return f"C{calls}"
    if any(part.get("type") == "tool_result" or "functionResponse" in part for part in inside):
        return "T"
    return LETTERS.get(str(item.get("role")), "?")


def as_data(journal: Journal, sessions: Iterable[Conversation], judgements: Mapping[str, int]) -> dict[str, Any]:
    """Return everything as plain data, for JSON; of many sessions those in trouble come first."""
    known = sorted(sessions, key=lambda each: (not (each.broken or each.rejected), each.number))
    return {
        "requests": journal.requests,
        "sessions": len(known) + journal.gone,
        "judged": {code: number for code, number in judgements.items() if number},
        "broken": dict(journal.broken),
        "refused": dict(journal.refused),
        "faults": dict(journal.faults),
        "passed": not journal.broken and not journal.refused,
        "findings": [msgspec.to_builtins(found) for found in journal.findings],
        "by_session": [
            {
                "session": each.number,
                "provider": each.provider,
                "scenario": each.play.scenario.name,
                "turns": each.turns,
                "requests": each.requests,
                "refused": dict(each.rejected),
                "broken": dict(each.broken),
            }
            for each in known[:SESSIONS_SHOWN]
        ],
    }


def as_prometheus(journal: Journal, sessions: int, judgements: Mapping[str, int]) -> str:
    """Return the totals in the text format of Prometheus."""
    lines: list[str] = []
    tallies = journal.tallies.items()
    statuses = {f'provider="{name}",status="{status}"': number for name, tally in tallies
                for status, number in tally.by_status().items()}  # fmt: skip
    family(lines, "requests_total", "counter", "Requests by provider and status.", statuses)
    for kind in ("prompt", "cached", "completion"):
        labels = {f'provider="{name}"': getattr(tally, kind) for name, tally in tallies}
        family(lines, f"{kind}_tokens_total", "counter", f"Tokens, {kind}.", labels)
    for name, label, help_, numbers in (
        ("judgements_total", "code", "Times that an invariant was judged.", judgements),
        ("violations_total", "code", "Times that an invariant was broken.", journal.broken),
        ("refused_total", "rule", "Requests that a provider's rule refused.", journal.refused),
        ("faults_total", "kind", "Faults that were made on purpose.", journal.faults),
    ):
        family(lines, name, "counter", help_, {f'{label}="{key}"': number for key, number in numbers.items()})
    family(lines, "sessions_total", "counter", "Sessions that were begun.", {"": sessions + journal.gone})
    family(lines, "answers_open", "gauge", "Answers that are being given.", {"": journal.open})
    return "\n".join(lines) + "\n"
