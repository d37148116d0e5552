"""The configuration: what is wrong with it is said with its place, and what would be right."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import looprig
from looprig.gate.config import Config, ConfigError, Scenario, load, schema

SCHEMA = Path(looprig.__file__).parent / "gate" / "config.schema.json"

WHOLE = """
[project]
name = "app"

[tool.looprig]
loop = "app:make_loop"
scenarios = ["long_*", { name = "pending_calls", set = { messages = 200 }, seeds = 3 }]
seed = 7
baseline = "baseline.json"
strict = true

[tool.looprig.limits]
tokens_sent = "max 12_000, +2 %"

[tool.looprig.limits.pending_calls]
tokens_sent = "no worse"

[[tool.looprig.waivers]]
invariant = "LR121"
scenario = "pending_calls"
reason = "issue 12"
until = 2027-01-31
"""


def config_of(tmp_path: Path, text: str) -> Config:
    (tmp_path / "pyproject.toml").write_text(text)
    return load(tmp_path / "pyproject.toml")


def test_whole(tmp_path: Path):
    """
    Every key arrives where it belongs, and a scenario's own limit goes before the general one.
    """
    config = config_of(tmp_path, WHOLE)

    assert config.scenarios == ("long_*", Scenario(name="pending_calls", set={"messages": 200}, seeds=3))
    assert (config.seed, config.seeds, config.strict, config.baseline) == (7, 1, True, "baseline.json")
    assert config.limit("pending_calls", "tokens_sent")[0].text == "no worse"
    assert config.limit("long_tool_chain", "tokens_sent")[0].text == "max 12_000, +2 %"
    assert config.limit("long_tool_chain", "requests") == (config.limit("x", "requests")[0], False)
    assert str(config.waivers[0].until) == "2027-01-31"


BAD = [
    ("sead = 1", "pyproject.toml:3: tool.looprig.sead: there is no such key; did you mean 'seed'?"),
    ("zzz = 1", "tool.looprig.zzz: there is no such key; there are baseline, clock, "),
    ("seeds = 0", "pyproject.toml:3: tool.looprig.seeds: takes a whole number of at least 1, not 0"),
    ("seeds = '3'", "pyproject.toml:3: tool.looprig.seeds: takes a whole number, not '3'"),
    ("seeds = 2.5", "tool.looprig.seeds: takes a whole number, not 2.5"),
    ("strict = 1", "tool.looprig.strict: takes true or false, not 1"),
    ("turn_limit_s = 0", "tool.looprig.turn_limit_s: takes a number above 0.0, not 0"),
    ("clock = 'virtuel'", "tool.looprig.clock: 'virtuel' is no choice; did you mean 'virtual'?"),
    ("providers = ['openai']", "tool.looprig.providers[0]: 'openai' is no choice; did you mean 'openai-chat'?"),
    ("baseline = ''", "tool.looprig.baseline: must not be empty"),
    ("scenarios = 'all'", "tool.looprig.scenarios: takes a list, not 'all'"),
    ("scenarios = [3]", "tool.looprig.scenarios[0]: takes a text or a table, not 3"),
    ("scenarios = [{ nam = 'x' }]", "tool.looprig.scenarios[0].nam: there is no such key; did you mean 'name'?"),
    ("scenarios = [{ set = {} }]", "tool.looprig.scenarios[0]: 'name' is missing"),
    ("limits = 3", "tool.looprig.limits: takes a table, not 3"),
    (
        "[tool.looprig.limits]\ntokens = 'max 3'",
        "pyproject.toml:4: tool.looprig.limits.tokens: there is no such metric",
    ),
    ("[tool.looprig.limits]\ntokens_snet = 'max 3'", "did you mean 'tokens_sent'?"),
    (
        "[tool.looprig.limits]\ntokens_sent = 3",
        "pyproject.toml:4: tool.looprig.limits.tokens_sent: takes a text such as",
    ),
    ("[tool.looprig.limits]\ntokens_sent = 'most 3'", "limits.tokens_sent: 'most 3' is no limit; write 'max N'"),
    ("[tool.looprig.limits.odd_text]\ntokens_sent = 3", "pyproject.toml:4: tool.looprig.limits.odd_text.tokens_sent"),
    ("[tool.looprig.limits.odd_text]\ntoken_sent = '+2 %'", "did you mean 'tokens_sent'?"),
    ("[[tool.looprig.waivers]]\nreason = 'x'", "tool.looprig.waivers[0]: name either an invariant or a metric"),
    ("[[tool.looprig.waivers]]\ninvariant = 'LR121'", "tool.looprig.waivers[0]: 'reason' is missing"),
    ("[[tool.looprig.waivers]]\ninvariant = 'LR121'\nreason = ' '", "waivers[0].reason: must not be empty"),
    ("[[tool.looprig.waivers]]\ninvariant = 'LR1211'\nreason = 'x'", "there is no such code; did you mean 'LR121'?"),
    ("[[tool.looprig.waivers]]\nmetric = 'tokens'\nreason = 'x'", "waivers[0].metric: there is no such metric"),
    ("[[tool.looprig.waivers]]\nmetric = 'trims'\nreason = 'x'\nuntil = 'May'", "waivers[0].until"),
    (
        "limits = { cpu_time_per_message_us = '+2 %' }",
        "is judged as [tool.looprig.cpu_time] says, and has no limit here",
    ),
    ("[tool.looprig.cpu_time]\nmargin_percent = 5", "tool.looprig.cpu_time.reach_percent: has to be more than margin"),
    ("[tool.looprig.cpu_time]\njudge = 'alway'", "pyproject.toml:4: tool.looprig.cpu_time.judge: 'alway' is no choice"),
    (
        "[tool.looprig.cpu_time]\nmargin = 5",
        "tool.looprig.cpu_time.margin: there is no such key; did you mean 'margin_",
    ),
    ("[tool.looprig.growth]\nmessages = 64", "tool.looprig.growth: has no limit: give one of tokens, retained_bytes"),
    ("[tool.looprig.growth]\ncpu_time = 1", "tool.looprig.growth.cpu_time: takes a number above 1.0, not 1"),
    ("seed = ", "pyproject.toml is no TOML: Invalid value (at line 3"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_bad(tmp_path: Path, text: str, said: str):
    """
    What is wrong is named with file, line and key, why, and what would be right.
    """
    with pytest.raises(ConfigError) as error:
        config_of(tmp_path, f'[tool.looprig]\nloop = "app:make_loop"\n{text}\n')

    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "pyproject.toml has no table [tool.looprig]; write one with: looprig init"),
        ("tool = 3", "has no table [tool.looprig]"),
        ("[tool]\nlooprig = 3", "tool.looprig: is a table, not a value of type int"),
        ("[tool.looprig]\nseed = 1", "tool.looprig: 'loop' is missing"),
    ],
)
def test_no_table(tmp_path: Path, text: str, said: str):
    """
    A file without the table, or with something else in its place, says what to do.
    """
    with pytest.raises(ConfigError) as error:
        config_of(tmp_path, text)

    assert said in str(error.value)


def test_no_file(tmp_path: Path):
    """
    Outside of a project the error says where to start.
    """
    with pytest.raises(ConfigError, match=r"there is no pyproject.toml here; start in your project's folder"):
        load(tmp_path / "pyproject.toml")


def test_line_in_doubt(tmp_path: Path):
    """
    Where two lines could be meant, the nearest table around them is named, and never a wrong line.
    """
    two = "[[tool.looprig.waivers]]\ninvariant = 'LR121'\nreason = 'x'\n"
    with pytest.raises(ConfigError) as error:
        config_of(tmp_path, f"[tool.looprig]\nloop = 'a:b'\n{two}{two}metrik = 'x'\n{two}metrik = 'y'\n")

    assert str(error.value).startswith("pyproject.toml: tool.looprig.waivers[1].metrik")


def test_schema():
    """
    The published schema is the one that the code makes, and a valid schema of its draft.
    """
    published = json.loads(SCHEMA.read_text())

    assert published == schema(), "write it anew: python -m looprig.gate.config > looprig/gate/config.schema.json"
    jsonschema.Draft7Validator.check_schema(published)


def table(text: str) -> Any:
    return json.loads(json.dumps(tomllib.loads(text)["tool"]["looprig"], default=str))


def test_schema_takes_what_is_right():
    """
    An editor that goes by the schema has nothing to say of a configuration that works.
    """
    jsonschema.validate(table(WHOLE), schema())


@pytest.mark.parametrize(
    "text", ["sead = 1", "seeds = 0", "clock = 'wall'", "scenarios = [{ set = {} }]", "limits = 3"]
)
def test_schema_refuses_what_is_wrong(text: str):
    """
    An editor marks what the gate would refuse: unknown keys, types, ranges, choices.
    """
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(table(f'[tool.looprig]\nloop = "app:make_loop"\n{text}\n'), schema())
