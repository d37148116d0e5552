"""The page of `tests.perf.gate`: what was measured, against its targets, from the file alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from looprig.paired.quantile import binomial_upper
from tests.perf.neighbours import CONDITIONS
from tests.perf.targets import Section, Target, section, table

Gates = Sequence[Mapping[str, Any]]

FIELDS = ("mean", "min", "median")

ALARMS_MAX = 3
CAUGHT = {0.05: 98, 0.10: 100}
"""Of 100 gates."""
CPU_S_MAX = 5.0

COMMAND = "make gate-rates"


def page(lines: Gates) -> str:
    """Return the page as Markdown; what was not measured yet is said."""
    gates = [line for line in lines if line["kind"] != "size"]
    if not gates:
        return "Nothing was measured yet.\n"
    ours = [gate for gate in gates if gate["kind"] == "paired"]
    theirs = [gate for gate in gates if gate["kind"] == "pytest-benchmark"]
    parts = [_head(gates), section(_ours(ours, lines))]
    apart = [gate for gate in gates if gate["kind"] == "apart"]
    if apart:
        parts.append(_apart(apart))
    if theirs:
        parts.append(_theirs(theirs))
    return "\n\n".join([*parts, _how(lines)]) + "\n"


def _head(gates: Gates) -> str:
    days = sorted({str(gate["at"])[:10] for gate in gates})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    facts = ", ".join(f"{name} {value}" for name, value in gates[-1]["machine"].items())
    load = median(gate["load"] for gate in gates)
    return (
        "# How often a gate on CPU time is wrong\n\n"
        f"`{COMMAND}` measures this, gate by gate, and goes on where it was stopped; looprig {gates[-1]['looprig']}, "
        f"{when}.\n{facts}; the load average at the start of a gate was {load:.1f} in the median, "
        "since others worked on the machine, too.\n\n"
        "A gate is one verdict on the reference loop against itself, or against itself with a share of its memory "
        "management\ndone again."
    )


def _alarm(gate: Mapping[str, Any]) -> bool:
    return bool(gate["verdict"] == "regressed")


def _ours(ours: Gates, lines: Gates) -> Section:
    targets = [_alarms(_of(ours, 0.0))]
    for planted, least in CAUGHT.items():
        caught = sum(map(_alarm, _of(ours, planted)))
        count = len(_of(ours, planted))
        targets.append(
            Target(
                f"planted slowdowns of {planted:.0%}, caught",
                f"{caught} of {count}",
                f"{least} of 100",
                count >= 100 and caught * 100 >= least * count,
            )
        )
    inside = _of(ours, 0.02)
    better = sum(gate["verdict"] == "improved" for gate in inside)
    targets.append(
        Target(
            "planted slowdowns of 2%, called improved",
            f"{better} of {len(inside)} (at most {_upper(better, len(inside))})",
            "none",
            len(inside) >= 100 and better == 0,
        )
    )
    cost = median(gate["cpu_s"] for gate in ours) if ours else 0.0
    targets.append(
        Target(
            "CPU time of a verdict, median, all processes", f"{cost:.1f} s", f"{CPU_S_MAX:g} s", 0 < cost <= CPU_S_MAX
        )
    )
    tables = [_by("planted", ours, lambda gate: f"{gate['planted']:.0%}")]
    for planted in (0.0, 0.05):
        some = _of(ours, planted)
        tables += [
            f"With {planted:.0%} planted, by condition and by scenario:",
            _by("condition", some, lambda gate: str(gate["condition"])),
            _by("scenario", some, lambda gate: str(gate["scenario"])),
        ]
    tables += [
        "What was planted: how much of the memory management is done again, what that is in instructions (valgrind), "
        "and what the gates read:",
        _sizes(ours, lines),
    ]
    return Section("looprig: CPU time in pairs", COMMAND, targets, tables)


def _apart(apart: Gates) -> str:
    return (
        "## The same with a process a side\n\n"
        "Sides that one interpreter cannot import, such as two revisions, have a process each, on the same core.\n\n"
        + _by("planted", apart, lambda gate: f"{gate['planted']:.0%}")
        + "\n\nBy condition:\n\n"
        + _by("planted, condition", apart, lambda gate: f"{gate['planted']:.0%}, {gate['condition']}")
    )


def _alarms(same: Gates) -> Target:
    alarms = sum(map(_alarm, same))
    return Target(
        "false alarms, nothing planted",
        f"{alarms} of {len(same)} (at most {_upper(alarms, len(same))})",
        f"{ALARMS_MAX} of 600",
        len(same) >= 600 and alarms <= ALARMS_MAX,
    )


def _of(gates: Gates, planted: float) -> Gates:
    return [gate for gate in gates if gate["planted"] == planted]


def _upper(events: int, trials: int) -> str:
    """Return the one-sided 95 % upper bound of a share (Clopper and Pearson)."""
    return f"{binomial_upper(events, trials):.1%}" if trials else "100%"


def _groups(gates: Gates, name: Callable[[Mapping[str, Any]], str]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for gate in sorted(gates, key=_order):
        found.setdefault(name(gate), []).append(gate)
    return found


def _order(gate: Mapping[str, Any]) -> tuple[float, int, str]:
    return gate["planted"], CONDITIONS.index(gate["condition"]), gate["scenario"]


def _by(title: str, gates: Gates, name: Callable[[Mapping[str, Any]], str]) -> str:
    rows = []
    for group, some in _groups(gates, name).items():
        verdicts = Counter(gate["verdict"] for gate in some)
        rows.append(
            [
                group,
                len(some),
                *(verdicts[word] for word in ("regressed", "unchanged", "undecided", "improved")),
                _upper(verdicts["regressed"], len(some)),
                _interquartile(gate["cpu_s"] for gate in some),
                _interquartile(gate["seconds"] for gate in some),
                _interquartile(len(gate["log_ratios"]) for gate in some),
            ]
        )
    heads = ["gates", "regressed", "unchanged", "undecided", "improved", "regressed, at most", "CPU s", "s", "pairs"]
    return table([title, *heads], rows)


def _interquartile(values: Iterable[float]) -> str:
    """Return the median, and between what the middle half lies."""
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    return f"{median(ordered):.3g} ({low:.3g}-{high:.3g})"


def _sizes(ours: Gates, lines: Gates) -> str:
    rows = []
    for size in (line for line in lines if line["kind"] == "size"):
        some = [gate for gate in _of(ours, size["planted"]) if gate["scenario"] == size["scenario"]]
        ratios = [gate["ratio"] - 1 for gate in some if gate["ratio"] is not None]
        read = f"{median(ratios):+.1%}" if ratios else "-"
        rows.append(
            [
                size["scenario"],
                f"{size['planted']:.0%}",
                f"{size['share']:.1%}",
                f"{size['cost']:.2%} +- {size['cost_error']:.2%}",
                f"{size['instructions']:+.2%}",
                read,
                len(some),
            ]
        )
    heads = ["scenario", "planted", "done again", "cost of all of it", "instructions", "read", "gates"]
    return table(heads, rows)


def _theirs(theirs: Gates) -> str:
    rows = []
    for field in FIELDS:
        for planted in sorted({gate["planted"] for gate in theirs}):
            some = _of(theirs, planted)
            failed = [gate for gate in some if field in gate["failed"]]
            by_condition = [
                f"{sum(gate['condition'] == condition for gate in failed)} of "
                f"{sum(gate['condition'] == condition for gate in some)}"
                for condition in CONDITIONS
            ]
            rows.append(
                [
                    f"`{field}:5%`",
                    f"{planted:.0%}",
                    len(some),
                    len(failed),
                    f"{len(failed) / len(some):.0%}",
                    _upper(len(failed), len(some)),
                    *by_condition,
                    _interquartile(gate["cpu_s"] for gate in some),
                ]
            )
    heads = ["fails on", "planted", "pairs", "failed", "share", "at most", *CONDITIONS, "CPU s"]
    return (
        "## pytest-benchmark: `--benchmark-compare-fail`, in the same run\n\n"
        "The same loop and scenarios under pytest-benchmark with its defaults, by the command line that its users "
        "have:\n`pytest --benchmark-save`, then `pytest --benchmark-compare --benchmark-compare-fail mean:5% min:5% "
        "median:5%`,\none right after the other. With 0% planted a failure is a false alarm, with 5% it is right.\n\n"
        + table(heads, rows)
    )


def _how(lines: Gates) -> str:
    scenarios = sorted({line["scenario"] for line in lines})
    return (
        "## How it was done\n\n"
        f"Scenarios of about 120 messages ({', '.join(scenarios)}), in turn. A third of the gates without added load, "
        "a third\nbeside a process that keeps the last core busy, a third beside two that are busy on and off for "
        '0.05 to 0.8 s. All kinds of\ngates are mixed, so that each saw the same hours. "At most" is the one-sided '
        "95 % upper bound of a share (Clopper and\nPearson). A slowdown is planted as a share of the loop's "
        "memory management that is done again, on a history\nbeside the one that counts (`tests/perf/slowed.py`); both "
        "sides keep the same books. What all of it costs in CPU time is\nmeasured without the gate, by whole plays in "
        "turn in fresh processes, and sets the share. CPU time of a verdict is that of looprig "
        "and\nof all processes that it started. In brackets: the middle half."
    )
