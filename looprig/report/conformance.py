"""The conformance page: what the trimmers and agents of frameworks do with a history, and what that costs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from looprig.conformance.changes import broken_text, cell_text, changes, versions
from looprig.conformance.data import AgentResult, Cell, Results, TrimmerResult, WholeRun
from looprig.conformance.explained import why, why_long
from looprig.conformance.study import Compared, compared
from looprig.invariants import RULES as RUN_RULES
from looprig.report.figures import of_unit
from looprig.report.table import Column, Table, as_markdown, escaped
from looprig.trimmers.frameworks import BASELINE
from looprig.trimmers.judge import RULES

COMMAND = "looprig conformance"

SMALL = 6
"""A case of at most so many messages can be read at a glance."""

LEGEND = (
    "Letters: S system, U user, A assistant, Cn assistant that asks for n tools, T a tool's result; "
    "! behind a giant of 2,000 characters, = behind a call whose id was used before, ? behind what was not in the "
    "history, (U A)x20 repeats. Every other message has about ten tokens."
)

QUADRATIC = 1.5
"""From this exponent on, a call is nearer to quadratic than to linear."""


def page(results: Results, before: Results | None = None) -> str:
    """Return the whole page as Markdown; *before* is what the last run found."""
    parts = [
        *_head(results),
        *_trimmers(results.trimmers),
        *_agreement(results.trimmers),
        *_cost(results.trimmers),
        *_whole_runs(results.trimmers),
        *_agents(results.agents),
        *_parallel(results.agents),
        *_changes(results, before),
        *_troubles(results),
        *_cases(results.trimmers),
    ]
    return "\n\n".join(parts) + "\n"


def _head(results: Results) -> Iterator[str]:
    yield "# Frameworks under test"
    yield (
        f"`{COMMAND}` writes this page and its data, `conformance.json`. It installs the frameworks in environments of "
        "their own, drives their history trimmers and their real agents through the same histories and scenarios, and "
        "judges what they hand to the model."
    )
    trimmers = sum(1 for each in results.trimmers if each.runs)
    frameworks = len({each.framework for each in results.trimmers if each.runs} - {BASELINE})
    agents = len({each.framework for each in results.agents if each.scenarios})
    yield (
        f"{_dates(results)}, looprig {results.looprig}: {trimmers} trimmers of {frameworks} "
        f"frameworks in {sum(each.runs for each in results.trimmers):,} runs, agents of {agents} frameworks."
    )
    if results.machine:
        facts = ", ".join(f"{name} {value}" for name, value in results.machine.items())
        yield f"CPU times are of one machine: {facts}. Everything else is exact, and the same in every run."
    columns = [Column("package"), Column("version")]
    yield as_markdown(Table("Versions", columns, list(map(list, versions(results).items()))))


def _dates(results: Results) -> str:
    """Return the date, or the oldest and the newest, where not all frameworks were run the last time."""
    dates = sorted({each.date for each in results.trimmers} | {each.date for each in results.agents} | {results.date})
    return dates[-1] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"


# ---------------------------------------------------------------------------------------------------------------------
# Trimmers


def _trimmers(trimmers: Sequence[TrimmerResult]) -> Iterator[str]:
    if not trimmers:
        return
    yield "## Trimmers"
    yield (
        "A number is the percentage of the runs to which a rule applies that break it, `ok` that none does, `n/a` that "
        "it applies to none. The smallest case of each number is at the end of this page. "
        '"messages" is a framework\'s own count: some hold all results of a batch in one message.'
    )
    columns = [Column("trimmer"), Column("unit"), *(Column(rule.note, "right") for rule in RULES.values())]
    columns += [Column("worst size", "right"), Column("chain kept", "right"), Column("runs", "right")]
    yield as_markdown(Table("Rules broken, in percent", columns, [_row(each) for each in trimmers]))
    yield as_markdown(
        Table(
            "The rules",
            [Column("id"), Column("code"), Column("what must hold")],
            [[rule.note, rule.code, rule.sentence] for rule in RULES.values()],
            ["Worst size: the largest size by the limit, where the limit could be kept. Chain kept: what is left of a "
             "turn of some 400 messages, at which limit."],
        )
    )  # fmt: skip
    yield from _unheld(trimmers)


def _row(trimmer: TrimmerResult) -> list[str]:
    if trimmer.failed:
        return [named(trimmer), trimmer.unit, *("" for _ in RULES), "", "", f"failed: {trimmer.failed}"]
    kept = "-" if trimmer.chain_kept is None else f"{trimmer.chain_kept[0]} @ {trimmer.chain_kept[1]}"
    cells = [cell_text(trimmer.cells.get(code)) for code in RULES]
    return [named(trimmer), trimmer.unit, *cells, f"{trimmer.worst_size:.3g}", kept, f"{trimmer.runs:,}"]


def named(trimmer: TrimmerResult) -> str:
    """Return a trimmer's name with its package and version."""
    packages = " ".join(f"{package} {number}" for package, number in trimmer.packages.items())
    return f"{packages or trimmer.framework} {trimmer.name}"


def _unheld(trimmers: Sequence[TrimmerResult]) -> Iterator[str]:
    notes = []
    for each in trimmers:
        if each.not_held:
            notes.append(f"- {named(each)}: {each.not_held:,} cases not played, which its messages cannot hold")
        if each.altered:
            notes.append(f"- {named(each)}: {each.altered:,} cases not played: {each.altered_because}")
        if each.cut_short:
            notes.append(f"- {named(each)}: cut short, {each.cut_short}")
    if notes:
        yield "\n".join(escaped(note) for note in notes)


def _cases(trimmers: Sequence[TrimmerResult]) -> Iterator[str]:
    """The smallest case of each number in the table."""
    broken = [each for each in trimmers if any(cell.broken for cell in each.cells.values())]
    if not broken:
        return
    yield "## The smallest case of each broken rule"
    yield LEGEND
    yield "Each command, with the limit and the history of a line, plays that case again."
    for trimmer in broken:
        yield f"### {escaped(named(trimmer))}"
        yield f"```sh\n{replay(trimmer)}\n```"
        columns = [Column("id"), Column("code"), Column("%", "right"), Column("limit", "right"), Column("history")]
        columns += [Column("what comes out"), Column("why that is a breach")]
        rows = [_case(code, cell) for code, cell in trimmer.cells.items() if cell.broken]
        yield as_markdown(Table("", columns, rows)).removeprefix("### \n\n")
        long = [RULES[code].note for code, cell in trimmer.cells.items() if _is_long(cell)]
        if long:
            yield "\n".join(
                f"- {note}: no case of at most {SMALL} messages; {why_long(trimmer, note)}" for note in long
            )


def _is_long(cell: Cell) -> bool:
    return cell.example is not None and cell.example.messages > SMALL


def _case(code: str, cell: Cell) -> list[str]:
    rule, example = RULES[code], cell.example
    if example is None:
        return [rule.note, code, cell_text(cell), "-", "-", "-", "-"]
    return [rule.note, code, cell_text(cell), str(example.limit), example.history, example.result, example.because]


def replay(trimmer: TrimmerResult, limit: str = "LIMIT", history: str = "HISTORY") -> str:
    """Return the command that plays one case again."""
    module = "looprig.trimmers.baseline"
    if trimmer.framework != BASELINE:
        module = f"looprig.trimmers.frameworks.{trimmer.framework.replace('-', '_')}"
    only = shlex.quote(trimmer.name)
    return (
        f"{COMMAND} {trimmer.framework} -- trim {module}:SUBJECTS --only {only} --limit {limit} --history '{history}'"
    )


# ---------------------------------------------------------------------------------------------------------------------
# Agreement


def _agreement(trimmers: Sequence[TrimmerResult]) -> Iterator[str]:
    cells = list(compared(trimmers))
    if not cells:
        return
    counts = {verdict: [cell for cell in cells if cell.verdict == verdict] for verdict in VERDICTS}
    yield "## Agreement with an earlier study"
    yield (
        f"A study of the same trimmers, with versions of November 2026 and histories of its own, has {len(cells)} of "
        f"these cells. {len(counts['same'])} are the same (both hold, or both are broken, by shares at most ten points "
        f"apart), {len(counts['other share'])} are broken in both by another share; in "
        f"{len(counts['differs'])} a rule holds here and not there, or the other way round."
    )
    columns = [Column("trimmer"), Column("id"), Column("study", "right"), Column("here", "right"), Column("why")]
    yield as_markdown(Table("Cells that differ", columns, [_differs(cell) for cell in counts["differs"]]))
    yield as_markdown(Table("Cells with another share", columns, [_differs(cell) for cell in counts["other share"]]))


VERDICTS = ("same", "other share", "differs")


def _differs(cell: Compared) -> list[str]:
    version = "" if cell.version.split()[-1] in cell.trimmer.packages.values() else f" (the study had {cell.version})"
    return [named(cell.trimmer), cell.note, cell.theirs, cell.ours, why(cell) + version]


# ---------------------------------------------------------------------------------------------------------------------
# Cost


def _cost(trimmers: Sequence[TrimmerResult]) -> Iterator[str]:
    measured = [each for each in trimmers if each.cost is not None]
    if not measured:
        return
    yield "## Cost of one call"
    yield (
        "CPU time on one machine; what carries over is the exponent of its growth with the length of the history, over "
        "300 to 30,000 messages: 0 does not grow, 1 is linear, 2 quadratic. A trimmer of which a hundred "
        "messages are kept has no reason to cost more than these. The factor is that to `h[-n:]` at 10,000 messages."
    )
    columns = [Column("trimmer"), Column("mode"), Column("exponent", "right"), Column("", "left")]
    columns += [Column(f"{size} us", "right") for size in ("1k", "10k", "30k")]
    columns += [Column("factor at 10k", "right"), Column("skipped")]
    ordered = sorted(measured, key=lambda each: -(each.cost.exponent or 0) if each.cost else 0)
    yield as_markdown(Table("Growth, steepest first", columns, [_cost_row(each) for each in ordered]))


def _cost_row(trimmer: TrimmerResult) -> list[str]:
    cost = trimmer.cost
    assert cost is not None, "only what was measured has a row"
    times = [cost.microseconds.get(str(size)) for size in (1_000, 10_000, 30_000)]
    exponent = "-" if cost.exponent is None else f"{cost.exponent:.2f}"
    steep = "steep" if (cost.exponent or 0) >= QUADRATIC else ""
    shown = ["-" if time is None else f"{time:,.1f}" if time < 100 else f"{time:,.0f}" for time in times]
    factor = "-" if cost.factor is None else f"{cost.factor:,.0f}"
    return [named(trimmer), trimmer.mode, exponent, steep, *shown, factor, cost.skipped]


# ---------------------------------------------------------------------------------------------------------------------
# Whole agent runs


def _whole_runs(trimmers: Sequence[TrimmerResult]) -> Iterator[str]:
    played = [each for each in trimmers if each.whole_runs]
    if not played:
        return
    yield "## Whole agent runs"
    yield (
        "The percentage of a run's requests that OpenAI, Anthropic and Gemini would refuse (OA/AN/GE), where the "
        "trimmer is called before each request at 20 messages, 205 tokens, 5 turns or 12 groups, or after each append. "
        "agent: 200 messages of mixed traffic; chain: one turn of 100 calls; parallel: up to eight calls at once. "
        "System lost is that of the agent run, user lost, emptied and peak those of the chain."
    )
    kinds = [(run.kind, run.when) for run in played[0].whole_runs]
    columns = [Column("trimmer"), *(Column(f"{kind} {when.replace('_', ' ')}", "right") for kind, when in kinds)]
    columns += [Column(name, "right") for name in ("requests", "system lost", "user lost", "emptied", "peak")]
    columns.append(Column("what ended a turn"))
    yield as_markdown(Table("Requests refused, in percent", columns, [_whole_row(each) for each in played]))


def _whole_row(trimmer: TrimmerResult) -> list[str]:
    runs = {(run.kind, run.when): run for run in trimmer.whole_runs}
    agent, chain = runs.get(("agent", "before_model")), runs.get(("chain", "before_model"))
    troubles = dict.fromkeys(run.trouble for run in trimmer.whole_runs if run.trouble)
    return [
        named(trimmer),
        *("/".join(_percent(share) for share in run.refused.values()) for run in trimmer.whole_runs),
        "/".join(str(run.requests) for run in trimmer.whole_runs),
        _of(agent, "system_lost"),
        _of(chain, "user_lost"),
        _of(chain, "emptied"),
        "-" if chain is None else str(chain.peak),
        "; ".join(troubles)[:120],
    ]


def _of(run: WholeRun | None, name: str) -> str:
    return "-" if run is None else _percent(getattr(run, name))


def _percent(share: float) -> str:
    return "<1" if 0 < share < 0.01 else f"{share * 100:.0f}"


# ---------------------------------------------------------------------------------------------------------------------
# Agents


def _agents(agents: Sequence[AgentResult]) -> Iterator[str]:
    if not agents:
        return
    yield "## Agents"
    yield (
        "Each framework's own agent loop behind looprig's adapter, by default and with the trimming that it offers. "
        "A cell counts violations by code; `ok` is a run in which everything judged holds."
    )
    scenarios = [played.scenario for played in next((each.scenarios for each in agents if each.scenarios), ())]
    columns = [Column("agent"), *(Column(name) for name in scenarios)]
    yield as_markdown(Table("Violations by scenario", columns, [_agent_row(each, scenarios) for each in agents]))
    codes = sorted({code for each in agents for played in each.scenarios for code in played.broken})
    rules = [[code, RUN_RULES[code].sentence if code in RUN_RULES else ""] for code in codes]
    yield as_markdown(Table("The rules that are broken", [Column("code"), Column("what must hold")], rules))
    yield from _exact(agents)
    yield from _agent_cases(agents)


def _agent_row(agent: AgentResult, scenarios: Sequence[str]) -> list[str]:
    if agent.failed:
        return [agent.loop, *(["failed: " + agent.failed] if scenarios else []), *("" for _ in scenarios[1:])]
    played = {each.scenario: each for each in agent.scenarios}
    return [
        agent.loop,
        *(
            (played[name].unusable and "unusable; ") + broken_text(played[name].broken) if name in played else "-"
            for name in scenarios
        ),
    ]


FIGURES: Mapping[str, str] = {
    "requests": "requests",
    "messages_sent": "messages sent",
    "tokens_sent": "tokens sent",
    "request_messages_peak": "peak",
    "cached_prefix_share": "cached prefix",
}


def _exact(agents: Sequence[AgentResult]) -> Iterator[str]:
    """Figures that repeat to the last digit, and the loop's own CPU time a message, which does not."""
    for scenario in ("long_tool_chain", "long_conversation"):
        rows = []
        for agent in agents:
            played = next((each for each in agent.scenarios if each.scenario == scenario and each.metrics), None)
            if played is None:
                continue
            figures = played.metrics
            shown = [
                of_unit(figures[name], "share" if name == "cached_prefix_share" else "")
                if name in figures
                else "-"
                for name in FIGURES
            ]  # fmt: skip
            overhead = figures.get("overhead_per_message_us")
            step = figures.get("messages_said", 0) / max(1, figures.get("requests", 1))
            rows.append([agent.loop, *shown, "-" if overhead is None else f"{overhead * step:,.0f}"])
        columns = [Column("agent"), *(Column(name, "right") for name in FIGURES.values())]
        columns.append(Column("loop overhead per step, us (noisy)", "right"))
        if rows:
            yield as_markdown(Table(f"What {scenario} costs", columns, rows))


def _agent_cases(agents: Sequence[AgentResult]) -> Iterator[str]:
    rows = [
        [agent.loop, played.scenario, code, str(case.requests), case.shape, case.because, case.replay]
        for agent in agents
        for played in agent.scenarios
        for code, case in played.smallest.items()
    ]
    if not rows:
        return
    names = ("agent", "scenario", "code", "requests", "the request", "why", "replay")
    yield as_markdown(Table("The smallest scenario that shows it", [Column(name) for name in names], rows))


def _parallel(agents: Sequence[AgentResult]) -> Iterator[str]:
    rows = [_parallel_row(agent) for agent in agents if agent.parallel is not None and agent.loop == agent.framework]
    if not rows:
        return
    yield "## Parallel tools"
    yield (
        "20 turns of `parallel_tools`. Two calls of a round conflict where one writes what the other touches: unless "
        "they run one after the other, the results need not be those of running all calls one by one."
    )
    names = ("agent", "equal to one by one?", "speed-up", "possible", "results in call order?", "a failing sibling")
    yield as_markdown(Table("Calls of one round", [Column(name) for name in names], rows))


def _parallel_row(agent: AgentResult) -> list[str]:
    found = agent.parallel
    assert found is not None, "only what was seen has a row"
    unequal = f"no: {found.overlapping} of {found.conflicts} conflicting pairs ran at once"
    unordered = f"no: {found.out_of_order} of {found.joined} pairs are not"
    return [
        agent.loop,
        unequal if found.overlapping else f"yes: all {found.conflicts} conflicting pairs kept their order",
        f"{found.speedup:.2f}",
        f"{found.possible:.2f}",
        unordered if found.out_of_order else "yes",
        found.sibling,
    ]


# ---------------------------------------------------------------------------------------------------------------------
# Changes


def _changes(results: Results, before: Results | None) -> Iterator[str]:
    yield "## What changed"
    if before is None:
        yield "There are no earlier results to compare with."
        return
    found = changes(before, results)
    if not found:
        yield f"Nothing since {before.date}."
        return
    rows = [[each.what, each.which, each.before, each.after] for each in found]
    columns = [Column("of"), Column("what"), Column("before"), Column("now")]
    yield as_markdown(Table(f"Since {before.date}", columns, rows))


def _troubles(results: Results) -> Iterator[str]:
    if results.troubles:
        yield "## What ended early"
        yield "\n".join(escaped(f"- {each.framework} {each.part}: {each.because}") for each in results.troubles)
