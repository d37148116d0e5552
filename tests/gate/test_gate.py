"""`looprig gate` in a throw-away repository: each exit code, and what each output says of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest

import looprig
from looprig.exits import Exit
from looprig.gate.config import load
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

    lenient, strict = repository.gate_here(), repository.gate_here("--strict")

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

    done = repository.gate_here()

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

    done = repository.gate_here()

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

    done = repository.gate_here("--baseline", "baseline.json")

    assert Exit.USAGE == done.code
    assert "baseline.json has none of these scenarios" in done.complained


def test_results_of_run_are_a_baseline(repository: Repository):
    """
    What `looprig run --format json` prints is a baseline too.
    """
    data = json.loads((repository.folder / "baseline.json").read_text())
    repository.write("baseline.json", json.dumps(data["results"]))
    repository.edit("app.py", 'NOTE = ""', 'NOTE = "hint: be brief"')

    assert Exit.REGRESSED == repository.gate_here().code


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

    done = repository.gate_here()

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


QUICK = """
[tool.looprig.counts]
judge = "never"

[tool.looprig.instructions]
judge = "never"

[tool.looprig.cpu_time]
judge = "{}"
budget_s = 0.01
"""


def test_revision(repository: Repository):
    """
    A git revision is a baseline: both sides run now, the files as they are with it, and nothing of the user's moves.
    """
    repository.write("pyproject.toml", (repository.folder / "pyproject.toml").read_text() + QUICK.format("never"))
    repository.edit("app.py", 'NOTE = ""', 'NOTE = "hint: be brief"')
    before = repository.state()

    done = repository.gate("--baseline", "HEAD")

    assert before == repository.state()
    checked(done, Exit.REGRESSED, "FAILED")
    data = data_of(done)
    assert data["baseline"].startswith("HEAD (")
    assert {} == data["not_judged"]
    assert all(
        (check["comparison"]["before"], check["comparison"]["after"]) == (702, 728)
        for check in data["checks"]
        if (check["scenario"], check["name"]) == ("long_tool_chain", "messages_sent")
    )
    assert "::error file=app.py,title=" in done.files["github"]


def test_cpu_time_that_cannot_be_decided(repository: Repository):
    """
    A budget that is too small decides nothing: that is exit 4 under --strict, and never a regression.
    """
    repository.write("pyproject.toml", (repository.folder / "pyproject.toml").read_text() + QUICK.format("auto"))

    done = repository.gate("parallel_tools", "--baseline", "HEAD", "--strict")

    checked(done, Exit.UNDECIDED, "UNDECIDED")
    (check,) = [check for check in data_of(done)["checks"] if check["status"] == "undecided"]
    assert "cpu-time" == check["comparison"]["layer"]
    assert "budget" in done.files["markdown"]


@pytest.mark.parametrize(("judge", "code"), [("auto", 0), ("always", 4), ("never", 0)])
def test_cpu_time_beside_a_stored_run(repository: Repository, judge: str, code: int):
    """
    Times of a stored run are never compared: left out by default, undecided where CPU time is always to be judged.
    """
    repository.write("pyproject.toml", (repository.folder / "pyproject.toml").read_text() + QUICK.format(judge))

    done = repository.gate_here("--strict")

    assert code == done.code
    assert ("CPU time" in data_of(done)["not_judged"]) == (judge != "never")


def test_hidden_copy(repository: Repository):
    """
    A copy of the history that never leaves the loop is found by counting, though all that is sent is as before.
    """
    repository.edit("pyproject.toml", "rounds = 20", "rounds = 100")
    quick = QUICK.format("never").replace('[tool.looprig.counts]\njudge = "never"', "")
    repository.write("pyproject.toml", (repository.folder / "pyproject.toml").read_text() + quick)
    repository.edit("app.py", "def ask(self):", "def ask(self):\n        list(self.history)")

    done = repository.gate("long_tool_chain", "--baseline", "HEAD")

    checked(done, Exit.REGRESSED, "FAILED")
    exceeded = {check["name"]: check for check in data_of(done)["checks"] if check["status"] == "exceeded"}
    assert {"bulk_bytes_per_message"} == set(exceeded)
    assert "counters" == exceeded["bulk_bytes_per_message"]["comparison"]["layer"]


GROWTH = "\n[tool.looprig.growth]\nmessages = {}\ntokens = 1.1\n"


def test_growth(repository: Repository):
    """
    A loop that keeps everything sends more with each message: beyond its limit, also without a baseline.
    """
    repository.write("pyproject.toml", (repository.folder / "pyproject.toml").read_text() + GROWTH.format(1024))

    done = repository.gate_here("--baseline", "none")

    checked(done, Exit.REGRESSED, "FAILED")
    (check,) = [check for check in data_of(done)["checks"] if check["status"] == "exceeded"]
    assert ("tokens_growth", "growth") == (check["name"], check["comparison"]["layer"])
    assert check["scenario"] in [suite.name for suite in junit_of(done)]
    assert "linear" in done.files["markdown"]


def test_growth_of_a_short_scenario(repository: Repository):
    """
    A conversation that is too short to see growth is a matter of the configuration.
    """
    repository.write("pyproject.toml", (repository.folder / "pyproject.toml").read_text() + GROWTH.format(100))

    done = repository.gate_here()

    checked(done, Exit.USAGE, "could not start")
    assert "tool.looprig.growth: " in done.complained


def test_revision_before_the_gate(repository: Repository):
    """
    The change that brings looprig has nothing to compare with, and passes, and says why.
    """
    text = (repository.folder / "pyproject.toml").read_text()
    repository.git("rm", "--quiet", "--cached", "pyproject.toml")
    repository.git("commit", "--quiet", "--message", "without a gate")
    repository.write("pyproject.toml", text)

    done = repository.gate_here("--baseline", "HEAD")

    checked(done, Exit.PASSED, "PASSED")
    assert data_of(done)["not_judged"] == {
        "changes": "HEAD has no [tool.looprig], so there is nothing to compare with yet"
    }


@pytest.mark.parametrize(
    ("baseline", "said"),
    [
        ("HEDA", "there is no revision 'HEDA' in this repository; did you mean HEAD?; where there is nothing"),
        ("base.json", "there is no baseline base.json"),
        ("store", "the baseline cannot be read: "),
    ],
)
def test_no_such_baseline(repository: Repository, baseline: str, said: str):
    """
    A baseline that is not there is exit 2, with what was perhaps meant and what to do.
    """
    shutil.rmtree(repository.folder / ".looprig", ignore_errors=True)

    done = repository.gate_here("--baseline", baseline)

    assert Exit.USAGE == done.code
    assert said in done.complained
    assert "--baseline none" in done.complained


def test_store(repository: Repository):
    """
    The last run that passed is a baseline; one that failed never becomes the measure of the next.
    """
    assert Exit.PASSED == repository.gate("--baseline", "none").code
    repository.edit("app.py", 'NOTE = ""', 'NOTE = "hint: be brief"')

    first, second = repository.gate("--baseline", "store"), repository.gate("--baseline", "store")

    checked(first, Exit.REGRESSED, "FAILED")
    assert data_of(first)["baseline"] == data_of(second)["baseline"], (
        "the failed run is in the store, and is passed over"
    )
    assert Exit.REGRESSED == second.code


README = (Path(__file__).parents[2] / "README.md").read_text()


def readme_block(language: str, first: str) -> str:
    """Return the README's code block of this language that begins so."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if text.startswith(first)]
    return str(found)


def test_readme_configuration(repository: Repository):
    """
    The configuration of the README is read as it stands there.
    """
    repository.write("pyproject.toml", readme_block("toml", "[tool.looprig]"))

    config = load(repository.folder / "pyproject.toml")

    assert "max 120_000, no worse" == config.limit("pending_calls", "request_tokens_peak")[0].text
    assert ["LR104"] == [waiver.invariant for waiver in config.waivers]


def test_readme_lines_for_any_ci(repository: Repository, tmp_path_factory: pytest.TempPathFactory):
    """
    The three lines of the README gate a clone, but for the line that installs packages.
    """
    text = (repository.folder / "pyproject.toml").read_text() + QUICK.format("never")
    repository.write("pyproject.toml", text.replace('baseline = "baseline.json"', ""))
    repository.git("commit", "--quiet", "--all", "--message", "quick")
    repository.git("branch", "--force", "main", "HEAD")
    clone = Repository(tmp_path_factory.mktemp("ci") / "clone")
    repository.git("clone", "--quiet", str(repository.folder), str(clone.folder))
    clone.edit("app.py", "CUT = None", "CUT = 6")
    install, *lines = readme_block("sh", "python -m pip install looprig").splitlines()
    script = "\n".join(lines).replace("looprig gate", f"{sys.executable} -m looprig gate")

    done = subprocess.run(["sh", "-e", "-c", script], cwd=clone.folder, capture_output=True, text=True, timeout=120)

    assert "python -m pip install looprig -e ." == install
    assert Exit.VIOLATED == done.returncode, done.stderr
    assert junitparser.JUnitXml.fromfile(str(clone.folder / "looprig.xml"))
