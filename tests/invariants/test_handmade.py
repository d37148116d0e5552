"""Tiny runs with exact verdicts, for and against every invariant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from looprig.invariants import RULES, Violation, check
from looprig.loop import Contract
from looprig.scenario import PlannedCall
from tests.invariants.handmade import MASK, Handmade
from tests.invariants.planted import call

NOTHING = Contract()
TRIGGER = Contract(trigger=4)
TARGET = Contract(trigger=4, target=4)
FOUR = Contract(messages_max=4)
TOKENS = Contract(tokens_max=30)
NOTED = Contract(notes=("context",))
TWO_NOTES = Contract(notes=("context", "summary"))
MASKED = Contract(mask=MASK)
ASKS = Contract(asks_approval=True)
SKIPS = Contract(skips_dependants=True)
CHAT, RESPONSES = Contract(providers=("openai-chat",)), Contract(providers=("openai-responses",))
ANTHROPIC, GEMINI = Contract(providers=("anthropic",)), Contract(providers=("gemini",))
MAY_REFUSE = {"may_be_refused": True}
TWO_ROUNDS = Contract(rounds_max=2)
DELETES = {"0a": call("delete_file")}
MALFORMED = {"0a": call(arguments='{"query": "wh')}
NO_ARGUMENTS = {"0a": call(arguments="")}
WRITES = {
    "0a": PlannedCall(name="write_file", inputs={"path": "a", "text": "x"}),
    "0b": PlannedCall(name="list_files", inputs={"prefix": ""}),
    "0c": PlannedCall(name="write_file", inputs={"path": "b", "text": "x"}),
}
OWN_ARGUMENTS = {"0a": call(arguments='{"query": "x"}')}
CONSTANT_ID = {"0a": call(id="call_1")}

GROUP = "turn 0 1; ask U0; reply; ask U0 C0 T0a"
WIDE = "turn 0 2; ask U0; reply; ask U0"
CHAIN = "turn 0 1 1; ask U0; reply; ask U0 C0 T0a; reply; ask"
TALK = "turn 0; ask U0; reply; turn 1; ask"
LONG = "turn 0; ask U0; reply; turn 1; ask U0 A0 U1; reply; turn 2; ask"
TOOLS = "turn 0 1; ask U0; reply"
THREE = "turn 0 3; ask U0; reply"
THEN = "ask U0 C0 T0a T0b T0c; reply; answer"
MASKS = f"{GROUP}; reply; turn 1; ask"
CHAINED = "turn 0 1 1; ask U0; reply; run 0a; ask U0 C0 T0a; reply; run 1a; ask"
FULL = f"{TOOLS}; run 0a; ask U0 C0 T0a; reply; answer"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A run, and what the rule of ``code`` and all others say of it."""

    code: str
    script: str
    broken: set[str] = field(default_factory=set)
    because: str | None = None
    contract: Contract = NOTHING
    calls: dict[str, PlannedCall] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    offers: tuple[str, ...] = ("history", "async")

    def violations(self) -> list[Violation]:
        handmade = Handmade(contract=self.contract, calls=self.calls, plan=self.plan, offers=self.offers)
        return list(check(handmade.play(self.script)))


def accepted(code: str, script: str, **more: Any) -> Case:
    return Case(code=code, script=script, **more)


def rejected(code: str, script: str, *also: str, because: str | None = None, **more: Any) -> Case:
    return Case(code=code, script=script, broken={code, *also}, because=because, **more)


CASES = (
    # -- trimming --------------------------------------------------------------------------------
    accepted("LR101", "system 0; turn 0; ask S0 U0; reply; turn 1; ask S0 U0 A0 U1"),
    accepted("LR101", "system 0; turn 0; ask S0 U0; reply; turn 1; ask S0 U1"),
    accepted("LR101", "system 0; turn 0; ask S0 U0; reply; system 1; turn 1; ask S0 S1 U0 A0 U1"),
    accepted("LR101", "turn 0; ask U0; reply; system 1; turn 1; ask U0 A0 S1 U1; reply; turn 2; ask S1 U2"),
    rejected(
        "LR101",
        "system 0; turn 0; ask S0 U0; reply; turn 1; ask U1",
        because="1 of 1 system messages are not in the request; the first lost is 'rule 0'",
    ),
    rejected(
        "LR101",
        "system 0; turn 0; ask U0",
        because="the system message that the application added ('rule 0') is not in the request",
    ),
    rejected(
        "LR101",
        "system 0; system 1; turn 0; ask S0 S1 U0; reply; turn 1; ask S1 S0 U0 A0 U1",
        because="the system messages no longer stand at the front of the request in their order",
    ),
    rejected("LR101", "system 0; turn 0; ask S0 U0; reply; turn 1; ask U1 S0"),
    accepted("LR102", "turn 0; ask U0"),
    accepted("LR102", f"{CHAIN} U0 C0.1 T0.1a"),
    accepted("LR102", "turn 0; refused; turn 1; ask U1", plan=MAY_REFUSE),
    rejected(
        "LR102",
        "turn 0 1; ask U0; reply; ask C0 T0a",
        "LR104",
        because="the user message of turn 0 is not in the request",
    ),
    rejected("LR102", f"{TALK} U0 A0", "LR112"),
    accepted("LR103", GROUP),
    accepted("LR103", f"{CHAIN} U0 C0.1 T0.1a"),
    rejected(
        "LR103",
        "turn 0 1; ask U0; reply; ask U0",
        "LR112",
        because="the call of search call_s0t0r0c0 (turn 0), just answered, is not in the request",
    ),
    rejected("LR103", f"{CHAIN} U0 C0 T0a", "LR108", "LR112"),
    accepted("LR104", "system 0; turn 0; ask S0 U0"),
    accepted("LR104", f"{TALK} U1"),
    accepted("LR104", "turn 0; ask N0 U0", contract=NOTED),
    rejected("LR104", f"{TALK} A0 U1", because="the conversation starts with the answer of turn 0"),
    rejected("LR104", "turn 0 1; ask U0; reply; ask C0 T0a U0", "LR112", "LR131"),
    accepted("LR105", f"{GROUP}", contract=FOUR),
    accepted("LR105", "turn 0 4; ask U0; reply; ask U0 C0 T0a T0b T0c T0d", contract=FOUR),
    rejected(
        "LR105", f"{LONG} U0 A0 U1 A1 U2", because="5 messages are sent; the loop promises at most 4", contract=FOUR
    ),
    rejected("LR105", f"{CHAIN} U0 C0 T0a C0.1 T0.1a", contract=FOUR),
    accepted("LR106", "turn 0; ask U0", contract=TOKENS),
    accepted("LR106", "turn 0 2; ask U0; reply; ask U0 C0 T0a T0b", contract=TOKENS),
    rejected(
        "LR106", f"{LONG} U0 A0 U1 A1 U2", because="43 tokens are sent; the loop promises at most 30", contract=TOKENS
    ),
    rejected("LR106", f"{LONG} A0 U1 A1 U2", "LR104", contract=TOKENS),
    accepted("LR107", f"{LONG} U1 A1 U2", contract=TRIGGER),
    accepted("LR107", f"{TALK} U0 A0 U1", contract=TRIGGER),
    accepted("LR107", "turn 0; ask U0; fail; raised; turn 1; ask U1", contract=TRIGGER),
    accepted("LR107", "turn 0; ask U0; fail; answer sorry; turn 1; ask U1", contract=TRIGGER),
    accepted("LR107", "turn 0; refused; turn 1; ask U1", contract=TRIGGER, plan=MAY_REFUSE),
    rejected(
        "LR107",
        f"{TALK} U1",
        because="the user message of turn 0 was dropped from at most 3 messages; the trigger is 4",
        contract=TRIGGER,
    ),
    rejected("LR107", f"{TALK} U0 U1", contract=TRIGGER),
    accepted("LR108", f"{LONG} U2"),
    accepted("LR108", f"{LONG} U1 A1 U2"),
    accepted("LR108", f"{CHAIN} U0 C0.1 T0.1a"),
    rejected(
        "LR108",
        f"{LONG} U0 A0 U2",
        because="the answer of turn 1 was dropped, but the user message of turn 0, which is older, was kept",
    ),
    rejected("LR108", f"{LONG} U0 A0 A1 U2"),
    accepted("LR109", f"{TALK[:-4]} ; probe; ask U1"),
    accepted("LR109", f"{LONG[:-4]} ; probe; ask U2"),
    rejected("LR109", f"{TALK[:-4]} ; probe i; ask U1", because="trimmed again, it is shorter"),
    rejected("LR109", f"{LONG[:-4]} ; probe ic; ask U2", "LR110"),
    accepted("LR110", f"{TALK[:-4]} ; probe; ask U1"),
    accepted("LR110", f"{LONG[:-4]} ; probe; ask U2"),
    rejected("LR110", f"{TALK[:-4]} ; probe c; ask U1", because="the list has changed"),
    rejected("LR110", f"{LONG[:-4]} ; probe cd; ask U2", "LR111"),
    accepted("LR111", f"{TALK[:-4]} ; probe; ask U1"),
    accepted("LR111", f"{LONG[:-4]} ; probe; ask U2"),
    rejected("LR111", f"{TALK[:-4]} ; probe d; ask U1", because="the next time it was another"),
    rejected("LR111", f"{LONG[:-4]} ; probe di; ask U2", "LR109"),
    accepted("LR112", f"{TALK} U0 A0 U1"),
    accepted("LR112", f"{TALK} U1"),
    accepted("LR112", "turn 0; ask U0; fail; ask U0"),
    rejected(
        "LR112",
        f"{TALK} U1 U0 A0",
        "LR131",
        because="the request ends in the answer of turn 0, not in the newest user message",
    ),
    rejected(
        "LR112",
        f"{CHAIN} U0 C0.1 T0.1a C0 T0a",
        "LR131",
        because="the request ends in the result of call_s0t0r0c0 (turn 0), not in the newest results",
    ),
    accepted("LR113", "system 0; turn 0; ask S0 U0"),
    accepted("LR113", f"{TALK} U1"),
    rejected("LR113", "system 0; turn 0; ask S0", "LR102", because="only system messages are left of 2 messages"),
    rejected("LR113", "system 0; turn 0 1; ask S0 U0; reply; ask S0", "LR102", "LR103"),
    accepted("LR115", f"{LONG} U1 A1 U2", contract=TARGET),
    accepted("LR115", "turn 0; ask U0; reply; turn 1 1; ask U0 A0 U1; reply; ask U1 C1 T1a", contract=TARGET),
    accepted(
        "LR115",
        "turn 0; ask U0; reply; turn 1 2; ask U0 A0 U1; reply; cancelled; turn 2; ask U2",
        contract=TARGET,
        plan={"cancel_after_s": 0.0},
    ),
    rejected(
        "LR115",
        f"{LONG} U2",
        because="1 messages are sent; the 2 messages of the answer of turn 1 would have fit the target of 4",
        contract=TARGET,
    ),
    rejected(
        "LR115",
        f"{CHAIN} U0 C0.1 T0.1a",
        because="3 messages are sent; the 2 messages of the call of search call_s0t0r0c0 (turn 0) "
        "would have fit the target of 5",
        contract=Contract(target=5),
    ),
    accepted("LR116", f"{LONG} U1 A1 U2", contract=TRIGGER),
    accepted(
        "LR116", "turn 0; ask U0; reply; turn 1 5; ask U0 A0 U1; reply; ask U1 C1 T1a T1b T1c T1d T1e", contract=TRIGGER
    ),
    rejected(
        "LR116",
        f"{LONG} U0 A0 U1 A1 U2; reply; turn 3; ask U1 A1 U2 A2 U3",
        because="3 messages are left after a trim; the limit is 2",
        contract=Contract(trigger=2),
    ),
    rejected(
        "LR116", f"{LONG} U0 A0 U1 A1 U2; reply; turn 3; ask A0 U1 A1 U2 A2 U3", "LR104", contract=Contract(trigger=3)
    ),
    accepted("LR117", "turn 0; ask N0 U0", contract=NOTED),
    accepted("LR117", "turn 0; ask N0 U0; reply; turn 1; ask U0 A0 N1 U1", contract=NOTED),
    rejected(
        "LR117",
        "turn 0; ask N0 U0; reply; turn 1; ask N0 U0 A0 N1 U1",
        because="2 messages of the loop's own making, named 'context', are in one request",
        contract=NOTED,
    ),
    rejected("LR117", "turn 0; ask N0 N1 U0", contract=NOTED),
    accepted("LR117", "turn 0; ask M0 N0 U0", contract=TWO_NOTES),
    rejected("LR117", "turn 0; ask M0 M1 N0 U0", contract=TWO_NOTES),
    # -- pairing ---------------------------------------------------------------------------------
    accepted("LR121", GROUP),
    accepted(
        "LR121",
        f"{TOOLS}; ask U0 C0 T0a; reply; turn 1 1; ask U0 C0 T0a A0 U1; reply; ask U0 C0 T0a A0 U1 C1 T1a",
        calls=CONSTANT_ID,
    ),
    rejected(
        "LR121",
        f"{TOOLS}; ask U0 T0a",
        "LR103",
        "LR112",
        because="the result of call_s0t0r0c0 (turn 0) is sent without the call that it answers",
    ),
    rejected("LR121", f"{CHAIN} U0 T0a C0.1 T0.1a"),
    rejected("LR121", f"{TOOLS}; ask U0 T0a C0", "LR112", "LR122"),
    accepted("LR122", GROUP),
    accepted("LR122", f"{TOOLS}; ask U0 C0 T0a; fail; raised; turn 1; ask U1"),
    rejected(
        "LR122",
        f"{TOOLS}; cancelled; turn 1; ask U0 C0 U1",
        because="the call of search call_s0t0r0c0 (turn 0) is sent without the result of call_s0t0r0c0",
        plan={"cancel_after_s": 0.0},
    ),
    rejected("LR122", f"{WIDE} C0 T0b"),
    rejected("LR122", f"{CHAIN} U0 C0 C0.1 T0.1a"),
    accepted("LR123", f"{WIDE} C0 T0a T0b"),
    accepted("LR123", f"{GROUP}; reply; system 1; turn 1; ask U0 C0 T0a A0 S1 U1"),
    rejected(
        "LR123",
        f"{WIDE} C0 T0a N0 T0b",
        because="the note message of turn 0 stands between the result of call_s0t0r0c1 (turn 0) and its call",
        contract=NOTED,
    ),
    rejected("LR123", f"{TOOLS}; system 1; ask U0 C0 S1 T0a"),
    accepted("LR124", f"{WIDE} C0 T0a T0b"),
    accepted(
        "LR124", "turn 0 2; ask U0; reply; ask U0 C0 T0a T0b", calls={"0a": call(id="call_1"), "0b": call(id="call_1")}
    ),
    rejected("LR124", f"{TOOLS}; ask U0 C0 T0a T0a", because="the result of call_s0t0r0c0 (turn 0) is sent twice"),
    rejected("LR124", f"{WIDE} C0 T0a T0b T0b"),
    # -- what was said ---------------------------------------------------------------------------
    accepted("LR131", f"{TALK} U0 A0 U1"),
    accepted("LR131", "turn 0; ask N0 U0", contract=NOTED),
    accepted("LR131", "turn 0; ask U0; fail; raised; turn 1; ask U0 I0 U1"),
    accepted("LR131", "turn 0; ask U0; fail; answer by myself; turn 1; ask U0 U1"),
    rejected("LR131", "turn 0; ask U0'", because="nobody said the user message of turn 0: 'Well: [#s0t0] question 0'"),
    rejected("LR131", f"{TALK} U0 I0 U1"),
    accepted("LR131", f"{MASKS} U0 C0 T0a* A0 U1", contract=MASKED),
    accepted("LR131", f"{MASKS} U0 C0 T0a* A0 U1; reply; turn 2; ask U0 C0 T0a A0 U1 A1 U2", contract=MASKED),
    rejected(
        "LR131",
        f"{MASKS} U0 C0 T0a* A0 U1",
        because="the result of call_s0t0r0c0 (turn 0) was sent before, and now reads 'old'",
    ),
    rejected("LR131", f"{MASKS} U0 C0 T0a' A0 U1", contract=MASKED),
    rejected("LR131", f"{MASKS} U0 C0 T0a* A0 U1; reply; turn 2; ask U0 C0 T0a' A0 U1 A1 U2", contract=MASKED),
    rejected(
        "LR131",
        f"{TALK} A0 U0 U1",
        "LR104",
        because="the user message of turn 0 stands behind the answer of turn 0, which was said later",
    ),
    rejected("LR131", f"{TALK} U0 A0 U1 U1", because="nobody said the user message of turn 1: '[#s0t1] question 1'"),
    accepted("LR132", "turn 0; ask U0; reply; session 1; turn 1; ask U1"),
    accepted("LR132", "turn 0; ask U0; reply; session 1; turn 1; ask U1; reply; turn 2; ask U1 A1 U2"),
    rejected(
        "LR132",
        "turn 0; ask U0; reply; session 1; turn 1; ask U0 A0 U1",
        "LR131",
        because="the user message of turn 1 belongs to session 0",
    ),
    rejected("LR132", "turn 0 1; ask U0; reply; ask U0 C0 T0a; session 1; turn 1; ask T0a U1", "LR104", "LR121"),
    accepted("LR133", f"{TOOLS}; run 0a; ask U0 C0 T0a"),
    accepted("LR133", f"{TOOLS}; run 0a; ask U0 C0 T0a'"),
    rejected(
        "LR133",
        f"{TOOLS}; run 0a; ask U0 C0 T0a-",
        because="the result of call_s0t0r0c0 (turn 0) reads ''; the tool gave back '[#s0t0r0c0] what search gives'",
    ),
    rejected("LR133", "turn 0 2; ask U0; reply; run 0a; run 0b; ask U0 C0 T0a- T0b"),
    accepted("LR133", f"{CHAINED} U0 C0 T0a* C0.1 T0.1a", contract=MASKED),
    rejected("LR133", f"{CHAINED} U0 C0 T0a C0.1 T0.1a*", contract=MASKED),
    rejected("LR133", f"{CHAINED} U0 C0 T0a* C0.1 T0.1a", "LR131"),
    accepted("LR134", "turn 0; ask U0; reply; answer"),
    accepted("LR134", "turn 0; ask U0; fail; answer sorry"),
    rejected(
        "LR134",
        "turn 0; ask U0; reply; answer done",
        because="the model answered '[#s0t0] answer 0'; the user got 'done'",
    ),
    rejected("LR134", "turn 0; ask U0; reply; answer -", "LR151"),
    accepted("LR135", "turn 0; refused; turn 1; ask U1", plan=MAY_REFUSE),
    accepted("LR135", "turn 0; ask U0; reply; answer; turn 1; ask U0 A0 U1"),
    rejected(
        "LR135",
        "turn 0; refused; turn 1; ask U0 U1",
        because="a text that was refused is sent: '[#s0t0] question 0'",
        plan=MAY_REFUSE,
    ),
    rejected("LR135", "turn 0; refused; turn 1; ask U1; reply; turn 2; ask U1 A1 U0 U2", "LR131", plan=MAY_REFUSE),
    # -- tools -----------------------------------------------------------------------------------
    accepted("LR141", FULL),
    accepted("LR141", "turn 0 2; ask U0; reply; run 0a; run 0b; ask U0 C0 T0a T0b; reply; answer"),
    accepted("LR141", f"{TOOLS}; run 0a; answer Stopped.", contract=Contract(rounds_max=1)),
    accepted("LR141", f"{CHAINED} U0 C0 T0a* C0.1 T0.1a; reply; answer", contract=MASKED),
    rejected(
        "LR141",
        "turn 0 2; ask U0; reply; run 0a; run 0b; ask U0 C0 T0a; reply; answer",
        "LR122",
        because="search call_s0t0r0c1 was answered 0 times",
    ),
    rejected(
        "LR141",
        f"{TOOLS}; run 0a; ask U0 C0 T0a T0a; reply; answer",
        "LR124",
        because="search call_s0t0r0c0 was answered 2 times",
    ),
    accepted("LR142", FULL),
    accepted("LR142", f"{TOOLS}; run 0a search={{}}; ask U0 C0 T0a", calls=NO_ARGUMENTS),
    accepted("LR142", f'{TOOLS}; run 0a search={{"query":"x"}}; ask U0 C0 T0a', calls=OWN_ARGUMENTS),
    rejected(
        "LR142",
        f"{TOOLS}; run 0a search={{}}; ask U0 C0 T0a; reply; answer",
        because="search ran with {}; the model asked for no such call in this turn",
        calls=MALFORMED,
    ),
    rejected(
        "LR142",
        f'{TOOLS}; run 0a write_file={{"ref":"s0t0r0c0"}}; ask U0 C0 T0a; reply; answer',
        because="write_file ran where the model asked for search",
    ),
    rejected("LR142", f"{TOOLS}; run 0a search=null; ask U0 C0 T0a; reply; answer", calls=OWN_ARGUMENTS),
    accepted("LR143", f"{TOOLS}; approve 0a no; ask U0 C0 T0a; reply; answer", calls=DELETES),
    accepted("LR143", f"{TOOLS}; approve 0a yes; run 0a; ask U0 C0 T0a; reply; answer", calls=DELETES),
    rejected(
        "LR143",
        f"{TOOLS}; approve 0a no; run 0a; ask U0 C0 T0a; reply; answer",
        because="delete_file (round 0, call 0) ran although it was denied",
        calls=DELETES,
    ),
    rejected("LR143", f"{TOOLS}; approve 0a no; run 0a; cancelled", plan={"cancel_after_s": 0.0}),
    accepted("LR144", FULL),
    accepted("LR144", f"{TOOLS}; ask U0 C0 T0a; reply; answer", calls=MALFORMED),
    accepted("LR144", f"{TOOLS}; ask U0 C0 T0a; reply; answer", calls=DELETES),
    rejected("LR144", f"{TOOLS}; ask U0 C0 T0a; reply; answer", because="search (round 0, call 0) ran 0 times"),
    rejected(
        "LR144",
        f"{TOOLS}; run 0a; run 0a; ask U0 C0 T0a; reply; answer",
        because="search (round 0, call 0) ran 2 times",
    ),
    # The second call reads what the first writes, and the third writes what the second reads: not what the first does.
    accepted("LR144", f"{THREE}; breaks 0a; {THEN}", calls=WRITES, contract=SKIPS),
    accepted("LR144", f"{THREE}; breaks 0a; run 0b; run 0c; {THEN}", calls=WRITES, contract=SKIPS),
    accepted("LR144", f"{THREE}; breaks 0a; run 0c; {THEN}", calls=WRITES, contract=SKIPS),
    accepted(
        "LR144",
        f"{THREE}; approve 0a no; {THEN}",
        calls=WRITES | {"0a": call("delete_file", approve=False)},
        contract=SKIPS,
    ),
    rejected("LR144", f"{THREE}; breaks 0a; {THEN}", calls=WRITES),
    rejected(
        "LR144",
        f"{THREE}; breaks 0a; run 0b; {THEN}",
        calls=WRITES,
        contract=SKIPS,
        because="write_file (round 0, call 2) ran 0 times",
    ),
    rejected("LR144", f"{THREE}; breaks 0a; run 0b; run 0c; run 0c; {THEN}", calls=WRITES, contract=SKIPS),
    rejected(
        "LR144",
        f"{THREE}; run 0a; run 0c; {THEN}",
        calls=WRITES,
        contract=SKIPS,
        because="list_files (round 0, call 1) ran 0 times",
    ),
    accepted("LR145", FULL),
    accepted("LR145", f'{TOOLS}; run 0a search={{"ref":"s0t0r0c0","query":"what"}}; ask U0 C0 T0a; reply; answer'),
    rejected(
        "LR145",
        f'{TOOLS}; run 0a search={{"query":"wha","ref":"s0t0r0c0"}}; ask U0 C0 T0a; reply; answer',
        because='search got {"query":"wha","ref":"s0t0r0c0"}; the model wrote {"query": "what", "ref": "s0t0r0c0"}',
    ),
    rejected("LR145", f'{TOOLS}; run 0a search={{"ref":"s0t0r0c0"}}; ask U0 C0 T0a; reply; answer'),
    accepted("LR146", f"{TOOLS}; approve 0a yes; run 0a; ask U0 C0 T0a; reply; answer", calls=DELETES, contract=ASKS),
    accepted("LR146", FULL, contract=ASKS),
    rejected("LR146", FULL, because="delete_file ran without approval", calls=DELETES, contract=ASKS),
    rejected(
        "LR146", f"{TOOLS}; approve 0a no; run 0a; ask U0 C0 T0a; reply; answer", "LR143", calls=DELETES, contract=ASKS
    ),
    accepted("LR147", f"{WIDE} C0 T0a T0b"),
    accepted(
        "LR147", "turn 0 2; ask U0; reply; ask U0 C0 T0a T0b", calls={"0a": call(id="call_1"), "0b": call(id="call_1")}
    ),
    rejected(
        "LR147",
        f"{WIDE} C0 T0b T0a",
        because="the result of call_s0t0r0c1 (turn 0) stands before the result of call_s0t0r0c0 (turn 0), "
        "which was asked for earlier",
    ),
    rejected("LR147", "turn 0 3; ask U0; reply; ask U0 C0 T0a T0c T0b"),
    # -- turns -----------------------------------------------------------------------------------
    accepted("LR151", FULL),
    accepted("LR151", "turn 0; ask U0; fail; raised"),
    accepted("LR151", "turn 0; refused", plan=MAY_REFUSE),
    accepted("LR151", "turn 0 1; ask U0; reply; wait 1; raised", plan={"cancel_after_s": 1.0}),
    accepted("LR151", f"{CHAIN} U0 C0 T0a C0.1 T0.1a; raised", contract=Contract(rounds_max=3)),
    rejected("LR151", "turn 0; ask U0; reply; raised KeyError: x", because="the turn raised KeyError: x"),
    rejected("LR151", "turn 0; refused", because="the loop refused an ordinary text: ValueError: no"),
    rejected("LR151", "turn 0; ask U0; stopped", because="the turn would not end: it went on and on"),
    rejected("LR151", "turn 0; ask U0; cancelled", because="the turn was cancelled, and nobody had asked for it"),
    rejected("LR151", "turn 0; ask U0; raised", plan={"cancel_after_s": 1.0}),
    accepted("LR152", FULL),
    accepted(
        "LR152", "turn 0 1; ask U0; fail; ask U0; reply; run 0a; ask U0 C0 T0a; fail; ask U0 C0 T0a; reply; answer"
    ),
    rejected(
        "LR152",
        f"{TOOLS}; run 0a; ask U0; again; raised",
        "LR103",
        "LR112",
        "LR151",
        because="round 0 was asked for again after round 0",
    ),
    rejected("LR152", f"{FULL[:-8]}; ask U0 C0 T0a; again; answer", "LR108"),
    accepted("LR153", FULL),
    accepted("LR153", f"{TOOLS}; run 0a; answer Stopped.", contract=Contract(rounds_max=1)),
    accepted("LR153", f"{TOOLS}; run 0a; ask U0 C0 T0a; fail; answer sorry"),
    rejected("LR153", f"{TOOLS}; run 0a; answer Done.", because="the turn was answered after 1 of 2 model replies"),
    rejected("LR153", "turn 0; answer Done.", because="the turn was answered after 0 of 1 model replies"),
    accepted("LR154", FULL, contract=TWO_ROUNDS),
    accepted("LR154", "turn 0; ask U0; fail; ask U0; fail; ask U0; reply; answer", contract=TWO_ROUNDS),
    rejected(
        "LR154",
        FULL,
        because="the turn asked the model 2 times; the loop promises at most 1",
        contract=Contract(rounds_max=1),
    ),
    rejected("LR154", f"{CHAIN} U0 C0 T0a C0.1 T0.1a; reply; raised", contract=TWO_ROUNDS),
    accepted("LR155", "turn 0; ask U0; fail; answer Sorry."),
    accepted("LR155", "turn 0; ask U0; fail; raised"),
    accepted("LR155", "turn 0; ask U0; fail; ask U0; reply; answer"),
    rejected(
        "LR155",
        "turn 0; ask U0; fail; answer -",
        "LR151",
        because="the model failed (server_error), and the user got an empty answer",
    ),
    rejected("LR155", "turn 0 1; ask U0; reply; run 0a; ask U0 C0 T0a; fail; answer -", "LR151"),
    accepted("LR156", f"{TOOLS}; wait 1; cancelled", plan={"cancel_after_s": 1.0}),
    accepted("LR156", "turn 0; ask U0; wait 1; reply; answer", plan={"cancel_after_s": 1.0}),
    accepted("LR156", f"{TOOLS}; wait 9; cancelled", plan={"cancel_after_s": 1.0}, offers=()),
    rejected(
        "LR156",
        f"{TOOLS}; wait 1; answer ok",
        "LR153",
        because="the turn was cancelled after 1.0 s; it ended answered after 1.0 s",
        plan={"cancel_after_s": 1.0},
    ),
    rejected(
        "LR156",
        f"{TOOLS}; wait 9; cancelled",
        because="the turn was cancelled after 1.0 s; it ended cancelled after 9.0 s",
        plan={"cancel_after_s": 1.0},
    ),
    accepted("LR157", f"{FULL}; close"),
    accepted("LR157", "turn 0; ask U0; reply; answer; close"),
    rejected("LR157", f"{FULL}; close x", because="the history ends with calls that have no result: x"),
    rejected("LR157", f"{TOOLS}; wait 1; cancelled; close call_s0t0r0c0", plan={"cancel_after_s": 1.0}),
    accepted("LR201", f"{WIDE} C0 T0a T0b", contract=CHAT),
    accepted("LR201", f"{CHAIN} U0 C0 T0a C0.1 T0.1a", contract=CHAT),
    rejected(
        "LR201",
        f"{WIDE} C0 T0a",
        "LR122",
        because="openai-chat would answer HTTP 400: An assistant message with 'tool_calls' must be followed by tool "
        "messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: "
        "call_s0t0r0c1",
        contract=CHAT,
    ),
    rejected("LR201", f"{GROUP}; reply; turn 1; ask U0 T0a A0 U1", "LR121", contract=CHAT),
    rejected("LR201", f"{TOOLS}; ask U0 C0 U0 T0a", "LR123", "LR131", contract=CHAT),
    accepted("LR202", f"{WIDE} C0 T0a T0b", contract=RESPONSES),
    accepted("LR202", f"{TALK} U0 A0 U1", contract=RESPONSES),
    rejected(
        "LR202",
        f"{WIDE} C0 T0a",
        "LR122",
        because="openai-responses would answer HTTP 400: No tool output found for function call call_s0t0r0c1.",
        contract=RESPONSES,
    ),
    rejected("LR202", f"{GROUP}; reply; turn 1; ask U0 T0a A0 U1", "LR121", contract=RESPONSES),
    accepted("LR203", f"{WIDE} C0 T0a T0b", contract=ANTHROPIC),
    accepted("LR203", f"system 0; {GROUP}", contract=ANTHROPIC),
    rejected(
        "LR203",
        f"{TALK} A0 U1",
        "LR104",
        because='anthropic would answer HTTP 400: messages: first message must use the "user" role',
        contract=ANTHROPIC,
    ),
    rejected("LR203", f"{WIDE} C0 T0a", "LR122", contract=ANTHROPIC),
    accepted("LR204", f"{WIDE} C0 T0a T0b", contract=GEMINI),
    accepted("LR204", f"system 0; {GROUP}", contract=GEMINI),
    rejected(
        "LR204",
        f"{WIDE} C0 T0a",
        "LR122",
        because="gemini would answer HTTP 400: Please ensure that the number of function response parts is equal to "
        "the number of function call parts of the function call turn.",
        contract=GEMINI,
    ),
    rejected("LR204", f"{GROUP}; reply; turn 1; ask C0 T0a A0 U1", "LR104", contract=GEMINI),
)


def case_id(case: Case) -> str:
    return f"{case.code}-{'rejected' if case.broken else 'accepted'}"


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_verdict(case: Case):
    """
    The verdict on a tiny run is exactly the expected one, and its reason is worded as expected.
    """
    violations = case.violations()

    assert case.broken == {violation.code for violation in violations}, [(v.code, v.because) for v in violations]
    if case.because is not None:
        assert case.because in [violation.because for violation in violations if violation.code == case.code]


@pytest.mark.parametrize("code", RULES)
def test_enough_cases(code: str):
    """
    Every invariant has at least two accepted and two rejected runs, and one rejected run with its exact reason.
    """
    cases = [case for case in CASES if case.code == code]
    count = Counter(bool(case.broken) for case in cases)

    assert min(count[True], count[False]) >= 2
    assert any(case.because for case in cases)
