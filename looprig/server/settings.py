"""How a server behaves, and what its options mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from looprig.invariants import RULES
from looprig.loop import Contract
from looprig.scenario import Scenario
from looprig.server.faults import BadFault, FaultPlan, parse_fault
from looprig.serving.pacing import BadLatency, Latency, Pace, parse_latency


class BadSetting(ValueError):
    """An option that cannot be read; the text says how to write it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a server behaves; ``window`` stands in for the models' own, ``delays`` are the scenario's."""

    scenario: Scenario
    judge: bool = True
    contract: Contract = field(default_factory=Contract)
    tokens: str = "estimate"
    pace: Pace = field(default_factory=Pace)
    delays: bool = False
    window: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    faults: Sequence[FaultPlan] = ()
    seed: int = 1


def of_options(given: Mapping[str, Any], scenario: Scenario) -> Settings:
    """Return the settings that the options of ``looprig serve model`` ask for.

    Raises:
        BadSetting: where one of them cannot be read.
    """
    try:
        pace = Pace(ttft=_latency(given["ttft"]), itl=_latency(given["itl"]), load=given["load"], seed=given["seed"])
        faults = tuple(map(parse_fault, given["faults"]))
    except BadLatency as error:
        raise BadSetting(f"--ttft and --itl: {error}") from error
    except BadFault as error:
        raise BadSetting(f"--fault: {error}") from error
    return Settings(
        scenario=scenario,
        judge=not given["no_judge"],
        contract=contract_of(given["promises"]),
        tokens=given["tokens"],
        pace=pace,
        delays=given["delays"],
        window=given["window"],
        requests_per_minute=given["rpm"],
        tokens_per_minute=given["tpm"],
        faults=faults,
        seed=given["seed"],
    )


def _latency(text: str | None) -> Latency | None:
    return None if text is None else parse_latency(text)


def contract_of(promises: Sequence[str]) -> Contract:
    """Read promises, ``messages_max=40``, ``notes=summary`` or ``waive=LR131``; of the last two there may be several.

    Raises:
        BadSetting: where one is not understood.
    """
    made: dict[str, Any] = {"notes": [], "waive": {}}
    for text in promises:
        name, _, value = text.partition("=")
        if name == "waive" and value not in RULES:
            raise BadSetting(f"--promise {text}: there is no invariant {value!r}; looprig explain lists them")
        if name == "waive":
            made["waive"][value] = "waived on the command line"
        elif name == "notes":
            made["notes"].append(value)
        else:
            made[name] = value
    unknown = [name for name in made if name not in Contract.__struct_fields__]
    if unknown:
        known = ", ".join(Contract.__struct_fields__)
        raise BadSetting(f"--promise: nobody can promise {unknown[0]!r}; there are {known}")
    try:
        return msgspec.convert(made, Contract, strict=False)
    except msgspec.ValidationError as error:
        raise BadSetting(f"--promise: {error}") from error
