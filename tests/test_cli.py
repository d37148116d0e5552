"""The command line: what it prints, what it exits with, and what it says when it is used wrongly."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import click
import jsonschema
import pytest

import looprig
from looprig.exits import Exit
from looprig.invariants import RULES
from looprig.metrics import METRICS
from looprig.report import results

SCHEMA = Path(looprig.__file__).parent / "report" / "results.schema.json"


def run(*words: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "looprig", *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **(env or {})},
    )


def values(done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    """Return the metrics of the first run of a JSON result."""
    metrics = json.loads(done.stdout)["runs"][0]["metrics"]
    return {name: metric["value"] for name, metric in metrics.items()}


@pytest.mark.parametrize(
    ("check_every", "expected"),
    [(100, (340, 1.66, 401, 6)), (1, (263, 1.28, 308, 11))],
    ids=["as the seed's benchmark ran it", "checked at every append"],
)
def test_seed_figures(tmp_path: Path, check_every: int, expected: tuple[float, ...]):
    """
    The seed's headline figure is reproduced to the digit, and is one of its schedule.
    """
    loop = f"reference,policy=incremental,check_every={check_every}"
    done = run("run", "seed_1000_messages", "--loop", loop, "--format", "json", cwd=tmp_path)

    names = ("history_messages_final", "utilisation_final", "history_messages_peak", "trims")
    assert expected == tuple(values(done)[name] for name in names)
    assert ("LR105" in json.loads(done.stdout)["runs"][0]["broken"]) == (check_every == 100)
    assert Exit.VIOLATED == done.returncode


@pytest.mark.parametrize("policy", ["seed", "incremental"])
def test_faithful_policies(tmp_path: Path, policy: str):
    """
    The seed's two policies send orphaned results, in each scenario that is there to show it, and each can be replayed.
    """
    names = ("long_tool_chain", "parallel_tools", "pending_calls")
    loop = f"reference,policy={policy},max_history_pairs=10"
    done = run("run", *names, "--loop", loop, "--format", "json", cwd=tmp_path)

    assert Exit.VIOLATED == done.returncode
    for result in json.loads(done.stdout)["runs"]:
        found = next(found for found in result["violations"] if found["code"] == "LR121")
        assert found["invariant"] == "no_result_without_its_call"
        assert isinstance(found["turn"], int)
        assert isinstance(found["request"], int)
        again = run(*shlex.split(found["replay"])[1:], "--format", "json", cwd=tmp_path)
        assert found in json.loads(again.stdout)["runs"][0]["violations"]


@pytest.mark.parametrize("policy", ["seed", "incremental"])
def test_faithful_policies_as_text(tmp_path: Path, policy: str):
    """
    For people each scenario's orphan is named with its turn, its request and a replay command.
    """
    names = ("long_tool_chain", "parallel_tools", "pending_calls")
    done = run("run", *names, "--loop", f"reference,policy={policy},max_history_pairs=10", cwd=tmp_path)

    section = done.stdout.split("✗ LR121 no_result")[1].split("✗ LR1")[0]
    for name in names:
        assert re.search(
            rf"{name}, turn \d+, request \d+: the result of \w+ \(turn \d+\) is sent without the call", section
        )
        assert f"replay with: looprig run {name} --seed 1 --loop" in section


def test_grouped_policy(tmp_path: Path):
    """
    The reference loop as it comes breaks nothing, and the last line says what was judged.
    """
    done = run("run", "--loop", "reference,max_history_pairs=10", cwd=tmp_path)

    assert Exit.PASSED == done.returncode
    assert re.search(r"^PASSED  \d+ invariants held in 12 runs, [\d,]+ judgements", done.stdout, re.MULTILINE)


def test_json(tmp_path: Path):
    """
    The JSON keeps its published schema, and names every metric's unit and whether it is exact.
    """
    done = run("run", "odd_text", "parallel_tools", "--format", "json", cwd=tmp_path)

    printed = json.loads(done.stdout)
    jsonschema.validate(printed, json.loads(SCHEMA.read_text()))
    for result in printed["runs"]:
        for name, metric in result["metrics"].items():
            assert (METRICS[name].unit, METRICS[name].exact) == (metric["unit"], metric["exact"])
        assert set(result["judgements"]) == set(RULES)


def test_schema():
    """
    The published schema is the one that the code makes.
    """
    published = json.loads(SCHEMA.read_text())

    assert published == results.schema(), (
        "write it anew: python -m looprig.report.results > looprig/report/results.schema.json"
    )


def test_junit(tmp_path: Path):
    """
    A second reader finds a case for each invariant, with failures and skipped ones counted right.
    """
    done = run(
        "run",
        "pending_calls",
        "--loop",
        "reference,policy=seed,max_history_pairs=10",
        "--format",
        "junit",
        cwd=tmp_path,
    )

    (suite,) = ElementTree.fromstring(done.stdout).findall("testsuite")  # noqa: S314  # our own output
    cases = suite.findall("testcase")
    assert len(RULES) == len(cases) == int(suite.get("tests", 0))
    assert len([case for case in cases if case.find("failure") is not None]) == int(suite.get("failures", 0)) > 0
    assert len([case for case in cases if case.find("skipped") is not None]) == int(suite.get("skipped", 0)) > 0
    seeds = [entry.get("value") for entry in suite.iter("property") if entry.get("name") == "seed"]
    assert ["1"] == seeds


def test_markdown(tmp_path: Path):
    """
    Markdown has the verdict first and tables that GitHub reads.
    """
    done = run("run", "repeated_ids", "--format", "markdown", cwd=tmp_path)

    lines = done.stdout.splitlines()
    assert lines[0].startswith("## PASSED")
    assert any(re.fullmatch(r"\|:-+\|(-+:\|)+.*", line) for line in lines)


def test_compare(tmp_path: Path):
    """
    A comparison prints the seed's three tables with figures, and exits by the loop after the change.
    """
    sides = ("reference,policy=seed,max_history_pairs=10", "reference,policy=grouped,max_history_pairs=10")
    there = run("compare", *sides, "pending_calls", "--rounds", "1", cwd=tmp_path)
    back = run("compare", *reversed(sides), "pending_calls", "--rounds", "1", cwd=tmp_path)

    for title in ("MEMORY MANAGEMENT", "PERFORMANCE MONITORING", "TOOL EXECUTION", "BY SCENARIO"):
        assert title in there.stdout
    assert (Exit.PASSED, Exit.VIOLATED) == (there.returncode, back.returncode)


def test_compare_with_itself(tmp_path: Path):
    """
    A loop compared with itself has no exact metric that changed.
    """
    done = run("compare", "reference", "reference", "many_systems", "--rounds", "1", "--format", "json", cwd=tmp_path)

    verdicts = {found["verdict"] for found in json.loads(done.stdout)["comparisons"]}
    assert verdicts == {"unchanged", "undecided"}


def test_list(tmp_path: Path):
    """
    A user's own scenario file is listed beside the standard ones, and can be run.
    """
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "mine.py").write_text(OWN_SCENARIO)

    listed = run("list", cwd=tmp_path).stdout
    done = run("run", "mine", "--set", "turns=3", "--format", "json", cwd=tmp_path)

    assert "mine" in listed.splitlines()
    assert "pending_calls" in listed.splitlines()
    assert 3 == values(done)["turns"]


OWN_SCENARIO = '''"""Small talk of my own."""

from looprig.scenario import Scenario, Turn, user_text


def scenario(seed: int, *, turns: int = 5) -> Scenario:
    made = tuple(Turn(say=user_text(0, number, "hi"), answer="hello") for number in range(turns))
    return Scenario(name="mine", seed=seed, turns=made, params={"turns": turns})
'''


@pytest.mark.parametrize("code", RULES)
def test_explain(tmp_path: Path, code: str):
    """
    Every invariant is explained by its code.
    """
    from looprig.report.listing import explained

    text = explained(code.lower())
    assert RULES[code].sentence in text
    assert RULES[code].twin in text


def test_explain_all(tmp_path: Path):
    """
    Without a code all invariants are listed.
    """
    listed = run("explain", cwd=tmp_path).stdout

    assert all(code in listed for code in RULES)


def test_replay(tmp_path: Path):
    """
    A recording is played again with the same digest, judged as it is, and played against another loop.
    """
    run("run", "pending_calls", "--loop", "reference,policy=seed,max_history_pairs=10", cwd=tmp_path)
    (recording,) = (tmp_path / ".looprig" / "traces").glob("*.jsonl")

    again = run("replay", str(recording), cwd=tmp_path)
    judged = run("replay", str(recording), "--judge-only", cwd=tmp_path)
    other = run("replay", str(recording), "--loop", "reference", cwd=tmp_path)

    assert "the same as recorded" in again.stdout
    assert again.stdout.splitlines()[1:] == judged.stdout.splitlines()[1:]
    assert (Exit.VIOLATED, Exit.VIOLATED, Exit.PASSED) == (again.returncode, judged.returncode, other.returncode)
    assert "not the same as recorded (another loop)" in other.stdout


def test_provider(tmp_path: Path):
    """
    A provider's rules are asked on request, and the command that plays the run again asks them too.
    """
    done = run("run", "repeated_ids", "--set", "turns=4", "--provider", "anthropic", cwd=tmp_path)
    (recording,) = (tmp_path / ".looprig" / "traces").glob("*.jsonl")
    again = run("replay", str(recording), cwd=tmp_path)

    assert Exit.VIOLATED == done.returncode == again.returncode
    assert "LR203" in done.stdout
    assert "`tool_use` ids must be unique" in done.stdout
    assert "--set turns=4" in done.stdout
    assert "--provider anthropic" in done.stdout
    assert "the same as recorded" in again.stdout


APP = """
from looprig.messages import Message


class Silent:
    def __init__(self, model, tools): ...
    def send(self, text): return "ok"


class Rubbish:
    def __init__(self, model, tools): self.model = model
    def send(self, text):
        try:
            self.model.complete(42)
        except Exception:
            return "never mind"


class Fine:
    def __init__(self, model, tools, keep=None): self.model, self.history = model, []
    def send(self, text):
        self.history.append(Message(role="user", content=text))
        self.history.append(self.model.complete(self.history))
        return self.history[-1]


class NoSend:
    def __init__(self, model, tools): ...


def one_argument(model): ...
def raising(model, tools): raise KeyError("no such setting")
A_NUMBER = 3
"""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("run pending_cals", "there is no scenario 'pending_cals'; did you mean pending_calls?"),
        ("run ./nothing.py", "nothing.py"),
        ("run --set turnz=3", "none of the 12 scenarios has a parameter 'turnz'; did you mean turns?"),
        ("run many_systems --set turn=3", "many_systems has no parameter 'turn'; did you mean turns?"),
        ("run many_systems --set turns=many", "turns"),
        ("run many_systems --set turns", "--set takes NAME=VALUE, not 'turns'"),
        (
            "run --loop nothing",
            "'nothing' names no loop: write module:factory, path/to/file.py:factory or a short name",
        ),
        ("run --loop no_such_module:make", "there is no module 'no_such_module' on the Python path or in"),
        ("run --loop app:Fin", "app has no 'Fin'; did you mean 'Fine'?"),
        ("run --loop app:A_NUMBER", "app:A_NUMBER is int, not a factory that can be called"),
        ("run --loop app:Fine,keep", "'keep' in 'app:Fine,keep' is no option: write ,key=value"),
        ("run --loop app:Fine,kept=3", "got an unexpected keyword argument 'kept'"),
        ("run --loop app:one_argument", "the factory one_argument(model) cannot be called with (model, tools)"),
        ("run --loop app:raising", "the factory raising raised KeyError: 'no such setting'"),
        ("run --loop app:NoSend", "made NoSend, which has no method send(text)"),
        ("run seed_1000_messages --loop app:Silent", "the loop never called the model in 500 turns"),
        ("run seed_1000_messages --loop app:Rubbish", "the loop called the model with a value of type int"),
        ("run --loop reference,polcy=seed", "did you mean"),
        ("run --loop reference,policy=sed", "did you mean"),
        ("run --tokens words", "words"),
        ("run --provider nobody", "'nobody' is not one of 'openai-chat', 'openai-responses', 'anthropic', 'gemini'"),
        ("replay nothing.jsonl", "cannot read the recording nothing.jsonl: No such file or directory"),
        ("replay app.py", "app.py, line 1: not an event of a looprig recording"),
        ("explain LR999", "there is no invariant 'LR999'; did you mean"),
        ("explain nonsense", "there is no invariant 'nonsense'; looprig explain lists them all"),
        ("compare reference", "Missing argument 'AFTER'"),
        ("rum", "No such command 'rum'. Did you mean"),
        ("run --formt json", "No such option"),
    ],
)
def test_bad_input(tmp_path: Path, words: str, says: str):
    """
    Bad input gets one clear error that says what to do, exit 2 and no traceback.
    """
    (tmp_path / "app.py").write_text(APP)

    done = run(*shlex.split(words), cwd=tmp_path)

    assert Exit.USAGE == done.returncode, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


ODD = (
    APP
    + """
import sys


class Exits(Fine):
    def send(self, text): sys.exit(7)


class ExitsLater(Fine):
    def send(self, text): return sys.exit(7) if "t3]" in text else super().send(text)


class Odd(Fine):
    def send(self, text): return super().send(text) if "t0]" in text else self.fall()
    def fall(self): raise BaseException("odd")


class Early(Fine):
    def __init__(self, model, tools):
        super().__init__(model, tools)
        model.complete([Message(role="user", content="warm up")])


class Generates(Fine):
    def send(self, text): yield "x"


class Hangs(Fine):
    def send(self, text):
        while True: pass


class Prints(Fine):
    def send(self, text):
        print("hello from the loop")
        return super().send(text)
"""
)


@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        (
            "Exits",
            Exit.USAGE,
            "never called the model in 10 turns (turn 0: the loop refused an ordinary text: SystemExit",
        ),
        ("ExitsLater", Exit.VIOLATED, "the loop refused an ordinary text: SystemExit: 7"),
        ("Odd", Exit.VIOLATED, "the loop refused an ordinary text: BaseException: odd"),
        (
            "Early",
            Exit.USAGE,
            "the loop called the model or a tool while it was being made, when nobody had said anything yet",
        ),
        ("Generates", Exit.USAGE, "Generates.send is a generator; it has to return the whole answer"),
        ("Hangs", Exit.VIOLATED, "the turn would not end: TurnStopped: it took more than 1 s of real time"),
    ],
)
def test_loops_that_misbehave(tmp_path: Path, name: str, code: Exit, says: str):
    """
    Whatever a loop does, the rig goes on and says what it was; no loop ends the rig, and none hangs it.
    """
    (tmp_path / "app.py").write_text(ODD)

    words = ("run", "seed_1000_messages", "--set", "messages=20", "--loop", f"app:{name}", "--turn-limit", "1")
    done = run(*words, cwd=tmp_path)

    assert code == done.returncode, done.stdout + done.stderr
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_loop_that_prints(tmp_path: Path):
    """
    What a loop prints does not get into the results.
    """
    (tmp_path / "app.py").write_text(ODD)

    words = ("run", "seed_1000_messages", "--set", "messages=4", "--loop", "app:Prints", "--format", "json")
    done = run(*words, cwd=tmp_path)

    assert 2 == values(done)["turns"]
    assert "hello from the loop" in done.stderr


def test_partial_results(tmp_path: Path):
    """
    What was measured before an error is printed all the same.
    """
    (tmp_path / "app.py").write_text(
        APP + "class Later(Fine):\n    def send(self, text):\n"
        "        return self.model.complete(3) if 's0t3]' in text else super().send(text)\n"
    )
    (tmp_path / "short.py").write_text(OWN_SCENARIO.replace("turns: int = 5", "turns: int = 2"))

    words = ("run", "short.py", "seed_1000_messages", "--loop", "app:Later")
    table = run(*words, cwd=tmp_path)
    data = run(*words, "--format", "json", cwd=tmp_path)

    assert (Exit.USAGE, Exit.USAGE) == (table.returncode, data.returncode)
    assert "short" in table.stdout or "mine" in table.stdout
    assert "the results above are those of the" in table.stderr
    assert "called the model with a value of type int" in json.loads(data.stdout)["error"]
    assert len(json.loads(data.stdout)["runs"]) >= 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
def test_full_disk(tmp_path: Path):
    """
    A full disk ends the run with one error and exit 2; nothing that was done before is lost.
    """
    traces = tmp_path / "traces"
    traces.mkdir()
    (traces / "odd_text-1-reference.jsonl").symlink_to("/dev/full")

    done = run("run", "repeated_ids", "odd_text", "--traces", str(traces), cwd=tmp_path)

    assert Exit.USAGE == done.returncode
    assert "cannot write the recording" in done.stderr
    assert "No space left on device" in done.stderr
    assert "--no-traces" in done.stderr
    assert "repeated_ids" in done.stdout


def test_unreadable_recording(tmp_path: Path):
    """
    A recording that was cut short is named as such.
    """
    run("run", "repeated_ids", cwd=tmp_path)
    (recording,) = (tmp_path / ".looprig" / "traces").glob("*.jsonl")
    recording.write_bytes(recording.read_bytes()[:10_000].rsplit(b"\n", 1)[0] + b"\n")

    done = run("replay", str(recording), cwd=tmp_path)

    assert Exit.USAGE == done.returncode
    assert "was cut short after line" in done.stderr


def test_help_is_quick():
    """
    The help does not import what it does not use.
    """
    code = "import sys, looprig.cli; print([name for name in HEAVY if name in sys.modules])"
    heavy = ["faker", "locust", "hypothesis", "tabulate", "msgspec", "pytest", "asyncio"]
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {heavy!r}; {code}"], capture_output=True, text=True, timeout=60
    )

    assert "[]" == done.stdout.strip()


@pytest.mark.parametrize("command", [[], ["run"], ["compare"], ["list"], ["explain"], ["replay"]])
def test_help(tmp_path: Path, command: list[str]):
    """
    Every command has help, and every option of it says what it does.
    """
    done = run(*command, "--help", cwd=tmp_path)

    assert Exit.PASSED == done.returncode
    assert "Usage: " in done.stdout
    assert not done.stderr


def test_help_of_options():
    """
    Every option of every command says what it does.
    """
    from looprig.cli import cli

    for command in (cli, *cli.commands.values()):
        for parameter in command.params:
            assert not isinstance(parameter, click.Option) or parameter.help, f"{command.name} {parameter.opts}"


def test_pipe(tmp_path: Path):
    """
    Through a pipe there is no control byte, and a reader that stops early is no error.
    """
    done = run("run", "repeated_ids", cwd=tmp_path)
    reader = subprocess.Popen(
        [sys.executable, "-m", "looprig", "run", "--format", "json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    reader.stdout.read(100)
    reader.stdout.close()
    errors = reader.stderr.read().decode()
    reader.stderr.close()
    reader.wait(60)

    assert not re.search(r"[\x00-\x08\x0b-\x1f\x1b]", done.stdout + done.stderr)
    assert [] == [line for line in errors.splitlines() if "runs done" not in line]  # a slow machine tells how far it is


def test_color(tmp_path: Path):
    """
    Colour can be asked for, and NO_COLOR turns it off.
    """
    forced = run("--color", "run", "repeated_ids", cwd=tmp_path)
    off = run("run", "repeated_ids", cwd=tmp_path, env={"NO_COLOR": "1", "FORCE_COLOR": "1"})

    assert "\x1b[" in forced.stdout
    assert "\x1b[" not in off.stdout


def test_traces_are_ignored_by_git(tmp_path: Path):
    """
    Recordings stay out of version control, and --no-traces leaves nothing behind.
    """
    run("run", "repeated_ids", "--no-traces", cwd=tmp_path)
    assert [] == list(tmp_path.iterdir())

    run("run", "repeated_ids", cwd=tmp_path)
    assert "*\n" == (tmp_path / ".looprig" / ".gitignore").read_text()


def test_interrupt(tmp_path: Path):
    """
    Ctrl-C ends a run with exit 130 and one word.
    """
    words = [sys.executable, "-m", "looprig", "run", "long_conversation", "--set", "messages=3000000", "--no-traces"]
    child = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(3)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=60)

    assert Exit.INTERRUPTED == child.returncode
    assert "interrupted" in errors
    assert "Traceback" not in errors


def test_seeds(tmp_path: Path):
    """
    Several seeds are runs of their own, from the first seed on.
    """
    done = run("run", "repeated_ids", "--seed", "5", "--seeds", "3", "--format", "json", cwd=tmp_path)

    assert [5, 6, 7] == [result["seed"] for result in json.loads(done.stdout)["runs"]]
