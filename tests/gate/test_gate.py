"""`looprig gate` in a throw-away repository: each exit code, and what each output says of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest

import looprig
from looprig.exits import Exit
from looprig.report import gate_json
from looprig.report.gate_markdown import COMMENT_MAX, MARKER
from tests.gate.repository import OUTPUTS, Done, Repository

SCHEMA = Path(looprig.__file__).parent / "report" / "gate.schema.json"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository with its baseline, made once."""
    return Repository.new(tmp_path_factory.mktemp("fresh"))


@pytest.fixture
def repository(fresh: Repository, tmp_path: Path) -> Repository:
    """A copy of it, to plant faults in."""
    return Repository(Path(shutil.copytree(fresh.folder, tmp_path, dirs_exist_ok=True)))


def data_of(done: Done) -> dict[str, Any]:
    """Read the JSON, which must keep its schema and tell the exit code of the process."""
    data: dict[str, Any] = json.loads(done.files["json"])
    jsonschema.validate(data, json.loads(SCHEMA.read_text()))
    assert done.code == data["exit_code"]
    return data


def junit_of(done: Done) -> junitparser.JUnitXml:
    """Read the JUnit with another reader, whose own counts must be those that were written."""
    read = junitparser.JUnitXml.fromstring(done.files["junit"].encode())
    for suite in read:
        written = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()
        assert written == (suite.tests, suite.failures, suite.errors, suite.skipped)
    read.update_statistics()
    return read


def checked(done: Done, code: Exit, word: str) -> None:
    """Check what every output says, whatever the verdict: all agree, none is missing, and the comment fits."""
    assert code == done.code, done.complained
    assert set(OUTPUTS) == set(done.files)
    comment, summary = done.files["markdown"], done.files["summary"]
    assert comment.startswith(MARKER)
    assert len(comment.encode()) < COMMENT_MAX
    assert comment.count("**What now:**") == 1
    assert word in comment.splitlines()[1], "the verdict stands first"
    assert MARKER not in summary
    assert word in summary.splitlines()[0]
    assert word in done.files["github"]


def test_pass(repository: Repository):
    """
    A loop that did not change passes: exit 0, nothing changed, and nobody has to read the comment.
    """
    done = repository.gate()

    checked(done, Exit.PASSED, "PASSED")
    data = data_of(done)
    assert data["quiet"]
    assert data["baseline"] == "baseline.json"
    assert "CPU time" in data["not_judged"]
    assert not {check["status"] for check in data["checks"]} & {"broken", "exceeded", "undecided"}
    assert junit_of(done).failures == junit_of(done).errors == 0
    assert done.printed.rstrip().splitlines()[-1].startswith("PASSED  ")
    assert "::error" not in done.files["github"]
    assert "|" not in done.files["markdown"], "no row changed, so there is no table"


def test_regression(repository: Repository):
    """
    A loop that sends a note with every request exceeds the default limit: exit 3, and the rows that changed are shown.
    """
    repository.edit("app.py", 'NOTE = ""', 'NOTE = "hint: be brief"')

    done = repository.gate()

    checked(done, Exit.REGRESSED, "FAILED")
    data = data_of(done)
    exceeded = {(check["scenario"], check["name"]) for check in data["checks"] if check["status"] == "exceeded"}
    assert {("long_tool_chain", "tokens_sent"), ("parallel_tools", "messages_sent")} <= exceeded
    assert len(exceeded) == junit_of(done).failures
    table = [line for line in done.files["markdown"].splitlines() if line.startswith("|")]
    assert any("tokens\\_sent" in line and "no worse" in line and "✗ exceeded" in line for line in table)
    assert not any("| requests" in line for line in table), "what did not change is not shown"
    assert "looprig gate`" in done.files["markdown"], "what now ends with the command"
    assert "::error file=app.py,line=34,title=looprig%3A tokens_sent in long_tool_chain::" in done.files["github"]


def test_broken_invariant(repository: Repository):
    """
    A loop that cuts its history breaks invariants: exit 1, before the limits that it exceeds, with a replay command.
    """
    repository.edit("app.py", "CUT = None", "CUT = 6")
    repository.edit("app.py", 'NOTE = ""', 'NOTE = "hint: be brief"')

    done = repository.gate()

    checked(done, Exit.VIOLATED, "FAILED")
    data = data_of(done)
    broken = [check for check in data["checks"] if check["status"] == "broken"]
    assert data["counts"]["exceeded"], "the exit code of the broken invariant goes first"
    assert any(check["name"].startswith("LR121 ") for check in broken)
    assert all(check["replay"].startswith("looprig run ") for check in broken)
    assert f"**What now:** see the first of it again with: `{broken[0]['replay']}`" in done.files["markdown"]
    assert junit_of(done).failures == data["counts"]["broken"] + data["counts"]["exceeded"]
    assert "replay with: looprig run" in done.files["junit"]
    assert "LR121 no_result_without_its_call: broken" in done.printed


UNDECIDED = """
[tool.looprig.limits.long_conversation]
tokens_sent = "+2 %"
"""


def test_undecided(repository: Repository):
    """
    What is limited by name and cannot be compared is undecided: exit 0 and said aloud, and exit 4 under --strict.
    """
    repository.edit("pyproject.toml", "scenarios = [", "scenarios = ['long_conversation', ")
    repository.edit("pyproject.toml", 'baseline = "baseline.json"\n', f'baseline = "baseline.json"\n{UNDECIDED}')

    lenient, strict = repository.gate(), repository.gate("--strict")

    checked(lenient, Exit.PASSED, "1 undecided")
    checked(strict, Exit.UNDECIDED, "UNDECIDED")
    (check,) = [check for check in data_of(strict)["checks"] if check["status"] == "undecided"]
    assert check["why"] == "baseline.json has no run of this scenario with this seed and these parameters"
    assert not data_of(lenient)["quiet"]
    assert (0, 0) == (junit_of(lenient).failures, junit_of(lenient).errors), "it is no failure"
    assert (0, 1) == (junit_of(strict).failures, junit_of(strict).errors)
    assert "::warning " in lenient.files["github"]
    assert "::error " in strict.files["github"]


@pytest.mark.parametrize("scenarios", ["[]", "['nothing_is_called_so*']"])
def test_nothing_ran(repository: Repository, scenarios: str):
    """
    A gate that judges nothing never passes: exit 5, and every output says so.
    """
    repository.write("pyproject.toml", f"[tool.looprig]\nloop = 'app:make_loop'\nscenarios = {scenarios}\n")

    done = repository.gate()

    checked(done, Exit.NOTHING_RAN, "NOTHING RAN")
    assert data_of(done)["results"] is None
    assert 1 == junit_of(done).errors
    assert "::error " in done.files["github"]


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("pyproject.toml", "baseline =", "basline =", "pyproject.toml:4: tool.looprig.basline: there is no such key"),
        (
            "pyproject.toml",
            "rounds",
            "round",
            "tool.looprig.scenarios: scenario long_tool_chain has no parameter 'round'",
        ),
        ("pyproject.toml", "parallel_tools", "parallel_tool", "tool.looprig.scenarios[1]: there is no scenario"),
        ("pyproject.toml", "app:make_loop", "app:make_lop", "tool.looprig.loop: app has no 'make_lop'; did you mean"),
        ("pyproject.toml", "baseline.json", "base.json", "there is no baseline base.json; write it"),
        ("pyproject.toml", "rounds = 20", "rounds = 21", None),
        ("baseline.json", "{", "", "the baseline baseline.json is no JSON"),
        (
            "baseline.json",
            '"schema_version": 1',
            '"schema_version": 99',
            "schema version 99, which this looprig cannot",
        ),
        ("baseline.json", '"runs"', '"walks"', "the baseline baseline.json holds no results of looprig"),
        ("app.py", "self.model.complete(sent)\n\n", "'hello'\n\n", "long_tool_chain: the loop"),
    ],
)
def test_bad_configuration(repository: Repository, file: str, old: str, new: str, said: str | None):
    """
    What is wrong before anything is judged is exit 2, one line and no traceback, and every output says it.
    """
    repository.edit(file, old, new)

    done = repository.gate()

    if said is None:  # another size of one scenario: the other one still compares
        assert Exit.PASSED == done.code
        return
    checked(done, Exit.USAGE, "could not start")
    assert said in done.complained
    assert "Traceback" not in done.complained
    assert said.split("'")[0] in data_of(done)["error"]
    assert 1 == junit_of(done).errors


def test_foreign_baseline(repository: Repository):
    """
    A baseline that holds none of the scenarios is refused: a gate that compares nothing would pass for ever.
    """
    repository.write("pyproject.toml", "[tool.looprig]\nloop = 'app:make_loop'\nscenarios = ['odd_text']\n")

    done = repository.gate("--baseline", "baseline.json")

    assert Exit.USAGE == done.code
    assert "baseline.json has none of these scenarios" in done.complained


def test_results_of_run_are_a_baseline(repository: Repository):
    """
    What `looprig run --format json` prints is a baseline too.
    """
    data = json.loads((repository.folder / "baseline.json").read_text())
    repository.write("baseline.json", json.dumps(data["results"]))
    repository.edit("app.py", 'NOTE = ""', 'NOTE = "hint: be brief"')

    assert Exit.REGRESSED == repository.gate().code


def test_waivers(repository: Repository):
    """
    What is waived neither passes nor fails, its reason is printed, and a waiver that waives nothing is named.
    """
    repository.edit("app.py", 'NOTE = ""', 'NOTE = "hint: be brief"')
    metrics = ("messages_sent", "tokens_sent", "request_messages_peak", "request_tokens_peak", "history_messages_peak")
    waivers = [
        f"[[tool.looprig.waivers]]\nmetric = '{name}'\nreason = 'it hints, see issue 12'\n"
        for name in (*metrics, "trims")
    ]
    repository.write("pyproject.toml", (repository.folder / "pyproject.toml").read_text() + "\n".join(waivers))

    done = repository.gate()

    checked(done, Exit.PASSED, "waived")
    assert "it hints, see issue 12" in done.printed
    assert "the waiver of trims waived nothing; take it out" in done.printed
    assert "it hints" in done.files["markdown"]


def test_schema():
    """
    The published schema is the one that the code makes.
    """
    published = json.loads(SCHEMA.read_text())

    assert published == gate_json.schema(), (
        "write it anew: python -m looprig.report.gate_json > looprig/report/gate.schema.json"
    )
