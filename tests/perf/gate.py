"""How often a gate on CPU time is wrong: the verdicts of `looprig.paired`, and pytest-benchmark's beside them.

    python -m tests.perf.gate --sizes                         find out how large the planted slowdowns are (valgrind)
    python -m tests.perf.gate [--part N/M] [--most GATES]     go on measuring
    python -m tests.perf.gate --page                          print the page, from what was measured

Every gate is one line of `.looprig/gate-rates.jsonl`, written when it is done. Whoever starts again goes on;
`make gate-rates` does all three.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import sqrt
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from looprig import content
from looprig.counted.process import all_at_once
from looprig.home import Job, Party, here
from looprig.paired import Plan, measure
from looprig.progress import Tell
from looprig.suite import machine
from looprig.version import __version__
from looprig.workload import pack
from tests.perf import bench_slowed
from tests.perf.neighbours import CONDITIONS, neighbours
from tests.perf.slowed import OPTIONS, SPEC, cpu_ratio, net_instructions

ROOT = Path(__file__).parents[2]

FILE = ROOT / ".looprig" / "gate-rates.jsonl"

SCENARIOS: Mapping[str, Mapping[str, str]] = {
    "seed_1000_messages": {"messages": "120"},
    "long_conversation": {"messages": "120"},
    "many_systems": {"turns": "40"},
}
"""About 120 messages each: 3 to 5 ms."""

GATES: Mapping[tuple[str, float], int] = {
    ("paired", 0.0): 600,
    ("paired", 0.02): 100,
    ("paired", 0.05): 100,
    ("paired", 0.10): 100,
    ("apart", 0.0): 60,
    ("apart", 0.05): 40,
    ("pytest-benchmark", 0.0): 60,
    ("pytest-benchmark", 0.05): 40,
}
"""How many gates of each kind and planted slowdown; ``apart`` is ``paired`` with a process a side, as for revisions."""

TRIED = 1.0
"""How often memory is managed again in what is timed first, to find out what once costs."""

TIMED_PROCESSES = 24
"""So many processes time it, as each has an address layout of its own; together they know it to 2 or 3 %."""

FIELDS = ("mean", "min", "median")
"""What `--benchmark-compare-fail` looks at here, each with 5 %."""

SILENT = Tell(lambda number, name: None, lambda turn, turns: None)


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate to run: what judges, what was planted, where, beside whom."""

    kind: str
    planted: float
    number: int
    scenario: str
    condition: str

    @property
    def name(self) -> str:
        return f"{self.kind} {self.planted:g} #{self.number}"


def gates() -> list[Gate]:
    """Return all gates, mixed: a run that is stopped early has some of each."""
    found = []
    for (kind, planted), count in GATES.items():
        for number in range(count):
            scenario = list(SCENARIOS)[number % len(SCENARIOS)]
            condition = CONDITIONS[number // len(SCENARIOS) % len(CONDITIONS)]
            found.append(((number + 0.5) / count, Gate(kind, planted, number, scenario, condition)))
    return [gate for _, gate in sorted(found, key=lambda pair: pair[0])]


def read(path: Path = FILE) -> list[dict[str, Any]]:
    """Return what was measured so far; half a line at the end is left out."""
    if not path.exists():
        return []
    whole = path.read_text(encoding="utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def packed(name: str) -> bytes:
    """Return the scenario of this name, at its size here."""
    return pack(content.find_scenario(name).make(1, dict(SCENARIOS[name])))


def spec(share: float) -> str:
    """Return the text form of the loop that is slowed by *share*."""
    return f"{SPEC},share={share!r},{OPTIONS}"


def sizes(done: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Find out which share of the memory management costs which share of CPU time, where it was not done yet."""
    known = {(each["scenario"], each["planted"]) for each in done if each["kind"] == "size"}
    planted = sorted({planted for _, planted in GATES if planted})
    for scenario in SCENARIOS:
        missing = [size for size in planted if (scenario, size) not in known]
        if missing:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "scenario"
                file.write_bytes(packed(scenario))
                yield from _sized(scenario, file, missing)


def _sized(scenario: str, file: Path, missing: Sequence[float]) -> Iterator[dict[str, Any]]:
    ratios = all_at_once([partial(cpu_ratio, file, TRIED)] * TIMED_PROCESSES)
    costs = [(ratio - 1.0) / TRIED for ratio in ratios]
    base = net_instructions(file, 0.0)
    for size in missing:
        share = size / mean(costs)
        counted = net_instructions(file, share) / base - 1.0
        yield {
            "kind": "size", "scenario": scenario, "planted": size, "share": share, "instructions": counted,
            "cost": mean(costs), "cost_error": stdev(costs) / sqrt(len(costs)),
        }  # fmt: skip


def paired(gate: Gate, share: float) -> dict[str, Any]:
    """Let `looprig.paired` judge."""
    before, after = here(), here()
    if gate.kind == "apart":
        after = replace(after, revision="another")
    job = Job(gate.scenario, packed(gate.scenario), Party(before, spec(0.0)), Party(after, spec(share)))
    with neighbours(gate.condition):
        began = _cpu_s()
        (timed,) = measure([job], Plan(seed=zlib.crc32(gate.name.encode())), SILENT)
        cpu_s = _cpu_s() - began
    found = timed.comparison
    return {
        "verdict": str(found.verdict), "ratio": found.ratio, "interval": found.interval, "note": found.note,
        "log_ratios": timed.log_ratios, "blocks": [session.blocks for session in timed.sessions],
        "wall_by_cpu": [session.wall_by_cpu for session in timed.sessions],
        "seconds": timed.seconds, "cpu_s": cpu_s, "seed": timed.seed,
    }  # fmt: skip


def _cpu_s() -> float:
    """Return the CPU time of this process and of its children that have ended: neighbours end later."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)


def benchmarked(gate: Gate, share: float) -> dict[str, Any]:
    """Let pytest-benchmark judge, by the command line that its users have."""
    with tempfile.TemporaryDirectory() as folder, neighbours(gate.condition):
        scenario = Path(folder) / "scenario"
        scenario.write_bytes(packed(gate.scenario))
        before = _cpu_s()
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/perf/bench_slowed.py",
            f"--benchmark-storage={folder}/runs",
        ]  # fmt: skip
        first = _pytest([*command, "--benchmark-save=before"], 0.0, scenario)
        limits = [f"{field}:5%" for field in FIELDS]
        second = _pytest([*command, "--benchmark-compare=0001", "--benchmark-compare-fail", *limits], share, scenario)
        cpu_s = _cpu_s() - before
    failed = re.findall(r"Field '(\w+)' has failed", second.stdout + second.stderr)
    if first.returncode != 0 or (second.returncode != 0) != bool(failed):
        raise SystemExit(f"pytest-benchmark did not run:\n{first.stdout}{first.stderr}{second.stdout}{second.stderr}")
    return {"failed": sorted(set(failed)), "exit": second.returncode, "cpu_s": cpu_s}


def _pytest(command: list[str], share: float, scenario: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), bench_slowed.LOOP: spec(share), bench_slowed.SCENARIO: str(scenario),
    }  # fmt: skip
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def write(found: Mapping[str, Any]) -> None:
    """Add a line to the file, and show most of it."""
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")
    print(json.dumps({key: found[key] for key in found if key not in ("log_ratios", "machine")}), flush=True)


def run(part: tuple[int, int], most: int | None) -> None:
    """Run what was not run yet, up to *most* gates, of one part of all; those without a known size are left out."""
    mine = [gate for number, gate in enumerate(gates()) if number % part[1] == part[0] - 1]
    done = {each["name"] for each in read() if "name" in each}
    for gate in [gate for gate in mine if gate.name not in done][:most]:
        shares = {(each["scenario"], each["planted"]): each["share"] for each in read() if each["kind"] == "size"}
        share = shares.get((gate.scenario, gate.planted)) if gate.planted else 0.0
        if share is not None:
            judged = (benchmarked if gate.kind == "pytest-benchmark" else paired)(gate, share)
            write({**asdict(gate), "name": gate.name, **_circumstances(), **judged})


def _circumstances() -> dict[str, Any]:
    return {
        "at": datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds"),
        "looprig": __version__, "machine": machine(), "load": os.getloadavg()[0],
    }  # fmt: skip


def main() -> None:
    """Measure, or print the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", action="store_true", help="measure and count the planted slowdowns instead")
    parser.add_argument("--part", default="1/1", help="this part of all gates, such as 2/3")
    parser.add_argument("--most", type=int, help="stop after so many gates")
    parser.add_argument("--page", action="store_true", help="print the page instead")
    given = parser.parse_args()
    if given.page:
        from tests.perf.gate_page import page

        print(page(read()), end="")
        return
    if given.sizes:
        for size in sizes(read()):
            write(size)
        return
    read_part = re.fullmatch(r"(\d+)/(\d+)", given.part)
    if read_part is None or not 1 <= int(read_part[1]) <= int(read_part[2]):
        parser.error(f"--part {given.part}: write 2/3 for the second of three parts")
    run((int(read_part[1]), int(read_part[2])), given.most)


if __name__ == "__main__":
    main()
