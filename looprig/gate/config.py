"""The configuration of the gate: ``[tool.looprig]`` of pyproject.toml, read into frozen values.

What is wrong with it is said with the file, the line, the key, and what would be right. The JSON Schema for editors
is published as ``looprig/gate/config.schema.json``, made of these very classes; a test keeps the two equal.
"""

from __future__ import annotations

import datetime
import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from looprig import growth
from looprig.counted.judge import METRICS as COUNTED
from looprig.gate.limits import HOW, Limit, LimitError, default, parse
from looprig.instructions.judge import METRIC as INSTRUCTIONS
from looprig.invariants import RULES
from looprig.load import asked, thresholds
from looprig.metrics import METRICS
from looprig.paired.judging import METRIC as CPU_TIME

FILE = "pyproject.toml"
TABLE = "tool.looprig"

OF_LAYERS: Mapping[str, str] = {
    **{metric: "counts" for metric, _ in COUNTED.values()},
    INSTRUCTIONS: "instructions",
    CPU_TIME: "cpu_time",
    **{f"{metric}_growth": "growth" for metric in growth.METRICS},
}
"""The metrics of the layers behind the exact ones, each with the table that says how it is judged."""

Setting = int | float | str | bool
AtLeastOne = Annotated[int, Meta(ge=1)]


class ConfigError(Exception):
    """The configuration cannot be used; the text says where, why, and what to do.

    ``line`` is that of the configuration file, where it is known.
    """

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.line = line


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A scenario with parameters or seeds of its own."""

    name: Annotated[str, Meta(min_length=1, description="A scenario's name, or a pattern such as long_*.")]
    set: Annotated[dict[str, Setting], Meta(description="Its parameters; see looprig list.")] = {}
    seed: Annotated[int | None, Meta(description="Its first seed; by default that of the table above.")] = None
    seeds: Annotated[AtLeastOne | None, Meta(description="How many seeds are tried.")] = None


Judge = Literal["auto", "always", "never"]
WHEN = "auto: where it can be; always: undecided where it cannot; never."


class CpuTime(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How CPU time is judged: in pairs of fresh interpreters, beside a git revision."""

    judge: Annotated[Judge, Meta(description=WHEN)] = "auto"
    margin_percent: Annotated[float, Meta(gt=0, lt=100, description="A change up to this counts as none.")] = 2.0
    reach_percent: Annotated[
        float, Meta(gt=0, lt=100, description="A change beyond this must not be missed; more than the margin.")
    ] = 5.0
    budget_s: Annotated[float, Meta(gt=0, description="Seconds for each scenario; then it is undecided.")] = 30.0
    control: Annotated[
        bool, Meta(description="Play the baseline twice; where it differs from itself, nothing is decided.")
    ] = False


class Counts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How calls and memory taken in bulk are judged: counted exactly, on any machine, beside a git revision."""

    judge: Annotated[Judge, Meta(description=WHEN)] = "auto"
    limit_percent: Annotated[float, Meta(ge=0, description="A change up to this counts as none.")] = 0.5


class Instructions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How instructions are judged: counted by valgrind, beside a git revision."""

    judge: Annotated[Judge, Meta(description=WHEN)] = "auto"
    limit_percent: Annotated[float, Meta(ge=0, description="A change up to this counts as none.")] = 0.5
    limit_async_percent: Annotated[
        float, Meta(ge=0, description="The same for loops whose send is a coroutine: the event loop is counted too.")
    ] = 1.0


Times = Annotated[float, Meta(gt=1)]
HOW_MANY_TIMES = "How many times its first costs a message's last cost may be; without it, this is not judged."


class Growth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the cost of a message may grow with the conversation; judged without a baseline, and where it has a limit."""

    scenario: Annotated[str, Meta(min_length=1, description="A scenario with a parameter messages.")] = (
        "long_conversation"
    )
    messages: Annotated[int, Meta(ge=1, description="The length of the conversation.")] = 4096
    tokens: Annotated[Times | None, Meta(description=f"Tokens sent. {HOW_MANY_TIMES}")] = None
    retained_bytes: Annotated[Times | None, Meta(description=f"Memory by message held. {HOW_MANY_TIMES}")] = None
    instructions: Annotated[Times | None, Meta(description=f"By valgrind. {HOW_MANY_TIMES}")] = None
    cpu_time: Annotated[Times | None, Meta(description=f"CPU time. {HOW_MANY_TIMES}")] = None

    @property
    def limits(self) -> dict[str, float]:
        """The metrics that have a limit, with it."""
        given = {name: getattr(self, name) for name in growth.METRICS}
        return {name: limit for name, limit in given.items() if limit is not None}


class Load(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `looprig load` does where its command line says nothing else; each is read as the option of that name."""

    url: Annotated[str | None, Meta(description="The service under load; by default one is started.")] = None
    protocol: Annotated[Literal["session", "chat-completions"], Meta(description="What the service speaks.")] = (
        "session"
    )
    users: Annotated[
        Literal["open", "closed", "replay"],
        Meta(description="Arrivals by a schedule, people who wait for each other's answers, or those of a trace."),
    ] = "open"
    rate: Annotated[float, Meta(gt=0, description="Sessions that arrive per second.")] = 3.0
    people: Annotated[AtLeastOne, Meta(description="How many people there are, with users = 'closed'.")] = 50
    stages: Annotated[str | None, Meta(description="Rates or people over time, such as 30s:2,60s:2-10.")] = None
    scenario: Annotated[str, Meta(min_length=1, description="What the users say.")] = "long_conversation"
    set: Annotated[dict[str, Setting], Meta(description="The scenario's parameters; see looprig list.")] = {}
    seed: Annotated[int, Meta(description="The seed that everything is drawn from.")] = 1
    turns: Annotated[AtLeastOne, Meta(description="The most turns of a session.")] = 12
    think: Annotated[str, Meta(description="How long users think between turns: a median, or MEDIAN,SIGMA.")] = "1s,0.5"
    processes: Annotated[AtLeastOne, Meta(description="Processes that make load on this machine.")] = 1
    late_most: Annotated[str | None, Meta(description="How late the generator may be (p99), such as 5ms.")] = None
    thresholds: Annotated[tuple[str, ...], Meta(description="What a run has to keep, such as ttft.p95 < 800ms.")] = ()
    slos: Annotated[tuple[str, ...], Meta(description="What a good turn keeps, such as ttft=800ms.")] = ()


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be broken or exceeded for a while, and why; the reason is printed in every report."""

    reason: Annotated[str, Meta(min_length=1, pattern=r"\S", description="Why; it is printed in every report.")]
    invariant: Annotated[str | None, Meta(description="The code of an invariant, such as LR121.")] = None
    metric: Annotated[str | None, Meta(description="The name of a metric, such as tokens_sent.")] = None
    scenario: Annotated[str | None, Meta(description="The only scenario that it is for; by default, all.")] = None
    until: Annotated[datetime.date | None, Meta(description="The last day on which it holds.")] = None


def _limits_schema() -> dict[str, Any]:
    """Return what editors are told of a table of limits: each metric with what it is."""
    return {
        metric.name: {"type": "string", "description": f"{metric.text} ({metric.unit}). {HOW.capitalize()}."}
        for metric in METRICS.values()
    }


Limits = Annotated[
    dict[str, str | dict[str, str]],
    Meta(
        description="What each metric may be; a table named for a scenario holds those of that scenario alone.",
        extra_json_schema={"properties": _limits_schema()},
    ),
]


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `looprig gate` runs, what it compares with, and what it lets pass."""

    loop: Annotated[
        str, Meta(min_length=1, description="The loop under test, module:factory with options behind it as ,key=value.")
    ]
    scenarios: Annotated[
        tuple[str | Scenario, ...] | None,
        Meta(description="Names, patterns such as long_*, or tables with a name and parameters; by default, all."),
    ] = None
    scenario_paths: Annotated[
        tuple[str, ...], Meta(description="Further scenario files or folders; ./scenarios is found by itself.")
    ] = ()
    seed: Annotated[int, Meta(description="The first seed.")] = 1
    seeds: Annotated[int, Meta(ge=1, description="How many seeds are tried.")] = 1
    clock: Annotated[Literal["virtual", "real"], Meta(description="Loops that do real I/O need the real clock.")] = (
        "virtual"
    )
    tokens: Annotated[Literal["estimate", "o200k", "cl100k"], Meta(description="How tokens are counted.")] = "estimate"
    providers: Annotated[
        tuple[Literal["openai-chat", "openai-responses", "anthropic", "gemini"], ...],
        Meta(description="Providers whose rules every request has to keep, beside those that the loop names."),
    ] = ()
    turn_limit_s: Annotated[float, Meta(gt=0, description="Real seconds after which a turn is stopped.")] = 60.0
    baseline: Annotated[
        str,
        Meta(
            min_length=1,
            description="What is compared with: a git revision such as origin/main, a results file (.json), store (the "
            "last run that passed), or none.",
        ),
    ] = "none"
    setup: Annotated[
        str | None,
        Meta(description="The command that installs a revision, such as pip install -e .; see looprig compare."),
    ] = None
    strict: Annotated[bool, Meta(description="Exit with 4 where something that was to be judged is undecided.")] = False
    limits: Limits = {}
    counts: Counts = Counts()
    instructions: Instructions = Instructions()
    cpu_time: CpuTime = CpuTime()
    growth: Growth | None = None
    load: Annotated[Load | None, Meta(description="How looprig load runs; looprig gate leaves it alone.")] = None
    waivers: Annotated[tuple[Waiver, ...], Meta(description="What may be broken or exceeded, and why.")] = ()

    def limit(self, scenario: str, metric: str) -> tuple[Limit, bool]:
        """Return the limit of *metric* in *scenario*, and whether it was written down or is the default."""
        own = self.limits.get(scenario)
        text = (own.get(metric) if isinstance(own, Mapping) else None) or self.limits.get(metric)
        return (parse(text, metric), True) if isinstance(text, str) else (default(metric), False)


def load(path: Path) -> Config:
    """Read ``[tool.looprig]`` of the file at *path*.

    Raises:
        ConfigError: with the line and the key, why it is wrong, and what to do.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"there is no {path.name} here; start in your project's folder, or write one with: looprig init"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} cannot be read: {error}") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name} is no TOML: {error}") from error
    tool = data.get("tool")
    table = tool.get("looprig") if isinstance(tool, dict) else None
    if table is None:
        raise ConfigError(f"{path.name} has no table [{TABLE}]; write one with: looprig init")
    return decode(table, Source(path.name, text))


def holds_table(text: str) -> bool:
    """Say whether the text of a pyproject.toml has the table; one that is no TOML has none."""
    try:
        tool = tomllib.loads(text).get("tool")
    except tomllib.TOMLDecodeError:
        return False
    return isinstance(tool, dict) and "looprig" in tool


class Source:
    """The text that a configuration came from, to say in which line a key stands."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._lines = text.splitlines()

    def error(self, keys: Sequence[str | int], why: str) -> ConfigError:
        """Return the error that names the place of *keys* below the table."""
        line = self._line(keys)
        place = f"{self.name}:{line}" if line else self.name
        return ConfigError(f"{place}: {_dotted(keys)}: {why}", line)

    def _line(self, keys: Sequence[str | int]) -> int | None:
        """Return the line of the innermost key that has just one line of its name below its table; None if in doubt."""
        names = [key for key in keys if isinstance(key, str)]
        for size in range(len(names), 0, -1):
            table = ".".join([TABLE, *names[: size - 1]])
            headed = [number for name, number in self._headers() if name == ".".join([TABLE, *names[:size]])]
            found = headed or [
                number for name, number, line in self._entries() if name == table and _assigns(line, names[size - 1])
            ]
            if len(found) == 1:
                return found[0]
        return None

    def _headers(self) -> Iterator[tuple[str, int]]:
        for number, line in enumerate(self._lines, 1):
            if found := re.match(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?", line):
                yield found[1].replace('"', "").replace(" ", ""), number

    def _entries(self) -> Iterator[tuple[str, int, str]]:
        headers = {number: name for name, number in self._headers()}
        table = ""
        for number, line in enumerate(self._lines, 1):
            table = headers.get(number, table)
            yield table, number, line


def _assigns(line: str, key: str) -> bool:
    return re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""", line) is not None


def _dotted(keys: Sequence[str | int]) -> str:
    return TABLE + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys)


def decode(table: object, source: Source) -> Config:
    """Return the configuration that *table* holds.

    Raises:
        ConfigError: where a key is unknown, or a value has the wrong type, is out of range or makes no sense.
    """
    if not isinstance(table, dict):
        raise source.error((), f"is a table, not a value of type {type(table).__name__}")
    for keys, known in _unknown(table, Config, ()):
        raise source.error(keys, f"there is no such key; {hint(str(keys[-1]), known)}")
    for keys, value in _no_texts(table.get("limits")):
        raise source.error(("limits", *keys), f"takes a text such as 'max 12000' or '+2 %', not {_shown(value)}")
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        why, _, where = str(error).partition(" - at ")
        keys = _keys(where)
        raise source.error(keys, _told(why, _at(table, keys), _choices(keys))) from error
    _check_limits(config, source)
    _check_waivers(config, source)
    if config.load is not None:
        _check_load(config.load, source)
    if config.cpu_time.reach_percent <= config.cpu_time.margin_percent:
        raise source.error(("cpu_time", "reach_percent"), "has to be more than margin_percent")
    if config.growth is not None and not config.growth.limits:
        raise source.error(("growth",), f"has no limit: give one of {', '.join(growth.METRICS)}, as in cpu_time = 1.25")
    return config


def _unknown(
    table: Mapping[str, Any], kind: type[msgspec.Struct], keys: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Sequence[str]]]:
    """Yield the path of each key of *table* that *kind* has no field for, with the fields that it has."""
    hints = get_type_hints(kind)
    for key, value in table.items():
        if key not in hints:
            yield (*keys, key), kind.__struct_fields__
            continue
        below = next(_structs(hints[key]), None)
        if below is None:
            continue
        entries: Iterable[tuple[tuple[str | int, ...], Any]] = (
            (((*keys, key, number), entry) for number, entry in enumerate(value))
            if isinstance(value, list)
            else [((*keys, key), value)]
        )
        for place, entry in entries:
            if isinstance(entry, dict):
                yield from _unknown(entry, below, place)


def _structs(hint: Any) -> Iterator[type[msgspec.Struct]]:
    if isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, msgspec.Struct):
        yield hint
    for part in get_args(hint):
        yield from _structs(part)


def hint(name: str, known: Iterable[str]) -> str:
    """Return the name of *known* that comes near to *name* as a question, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, 1)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"


def _keys(where: str) -> tuple[str | int, ...]:
    """Return the path in msgspec's words (``$.scenarios[0].seeds``) as keys; what it leaves open is left out."""
    parts = re.findall(r"\.(\w+)|\[(\d+)\]", where)
    return tuple(name or int(number) for name, number in parts)


def _at(table: Any, keys: Sequence[str | int]) -> Any:
    for key in keys:
        table = table[key]
    return table


_WORDS = {"int": "a whole number", "float": "a number", "str": "a text", "bool": "true or false", "object": "a table"}


def _told(why: str, value: object, choices: Sequence[str]) -> str:
    """Return msgspec's words in ours, with the value as it stands."""
    if why.startswith("Object missing required field"):
        return f"{why.partition('`')[2].rstrip('`')!r} is missing"
    if choices and isinstance(value, str):
        return f"{_shown(value)} is no choice; {hint(value, choices)}"
    if found := re.match(r"Expected `(\w+)` (>=?|<=?) (\S+)", why):
        bound = {">=": "of at least", ">": "above", "<=": "of at most", "<": "below"}[found[2]]
        return f"takes {_WORDS.get(found[1], found[1])} {bound} {found[3]}, not {_shown(value)}"
    if found := re.match(r"Expected `(.*?)`, got", why):
        kinds = [_WORDS.get(kind, kind) for kind in found[1].replace("array", "a list").split(" | ") if kind != "null"]
        return f"takes {' or '.join(kinds)}, not {_shown(value)}"
    return "must not be empty" if value == "" or "regex" in why else f"{_shown(value)}: {why.replace('`', '')}"


def _choices(keys: Sequence[str | int]) -> tuple[str, ...]:
    """Return the words that the value at *keys* is chosen from; none where it is no choice."""
    hint: Any = Config
    for key in keys:
        if isinstance(key, str):
            below = hint if isinstance(hint, type) else next(_structs(hint), None)
            hint = get_type_hints(below).get(key) if below is not None and hasattr(below, "__struct_fields__") else None
    return tuple(_literals(hint))


def _literals(hint: Any) -> Iterator[str]:
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    else:
        for part in get_args(hint):
            yield from _literals(part)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _no_texts(table: object) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield what stands in the place of a limit and is no text: msgspec could not say which key it has."""
    for name, value in table.items() if isinstance(table, dict) else ():
        if isinstance(value, dict):
            yield from (((name, key), inner) for key, inner in value.items() if not isinstance(inner, str))
        elif not isinstance(value, str):
            yield (name,), value


def _check_limits(config: Config, source: Source) -> None:
    for name, value in config.limits.items():
        for metric, text, keys in _limits_of(name, value):
            if metric in OF_LAYERS:
                why = f"{metric} is judged as [{TABLE}.{OF_LAYERS[metric]}] says, and has no limit here"
                raise source.error(("limits", *keys), why)
            if metric not in METRICS:
                known = [*METRICS, *(("a scenario's name, for a table",) if isinstance(value, str) else ())]
                raise source.error(("limits", *keys), f"there is no such metric; {hint(metric, known)}")
            try:
                parse(text, metric)
            except LimitError as error:
                raise source.error(("limits", *keys), str(error)) from error


def _limits_of(name: str, value: str | Mapping[str, str]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    if isinstance(value, str):
        yield name, value, (name,)
    else:
        yield from ((metric, text, (name, metric)) for metric, text in value.items())


def _check_waivers(config: Config, source: Source) -> None:
    for number, waiver in enumerate(config.waivers):
        keys = ("waivers", number)
        if (waiver.invariant is None) == (waiver.metric is None):
            raise source.error(keys, "name either an invariant or a metric")
        if waiver.invariant is not None and waiver.invariant not in RULES:
            raise source.error((*keys, "invariant"), f"there is no such code; {hint(waiver.invariant, RULES)}")
        known = (*METRICS, *OF_LAYERS)
        if waiver.metric is not None and waiver.metric not in known:
            raise source.error((*keys, "metric"), f"there is no such metric; {hint(waiver.metric, known)}")


def _check_load(given: Load, source: Source) -> None:
    wishes: list[tuple[str, str | None, Callable[[str], Any]]] = [
        ("stages", given.stages, asked.stages),
        ("think", given.think, asked.think),
        ("late_most", given.late_most, asked.duration),
    ]
    wishes += [("thresholds", text, thresholds.parse) for text in given.thresholds]
    wishes += [("slos", text, thresholds.parse_slo) for text in given.slos]
    for key, text, read in wishes:
        if text is None:
            continue
        try:
            read(text)
        except (asked.BadWish, thresholds.ThresholdError) as error:
            raise source.error(("load", key), str(error)) from error


def load_options(path: Path) -> dict[str, Any]:
    """Return what the file at *path* says of `looprig load`: options that ``[tool.looprig.load]`` sets, by their names
    in `Load`, and ``loop``, where ``[tool.looprig]`` names one. A file that is not there says nothing.

    Raises:
        ConfigError: where the table cannot be used.
    """
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    if not holds_table(text):
        return {}
    table = tomllib.loads(text)["tool"]["looprig"]
    # A project may have this table alone; what is missing for a gate is then no fault.
    decode({"loop": "reference", **table} if isinstance(table, dict) else table, Source(path.name, text))
    found = dict(table.get("load", {}))
    return {**found, "loop": table["loop"]} if "loop" in table else found


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the table, in the draft that editors of TOML read."""
    (made,), definitions = msgspec.json.schema_components([Config], ref_template="#/definitions/{name}")
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": f"[{TABLE}] of {FILE}",
        **made,
        "definitions": definitions,
    }
    return dict(msgspec.json.decode(msgspec.json.encode(whole)))  # defaults that are tuples become lists


if __name__ == "__main__":
    import json

    print(json.dumps(schema(), indent=2))
