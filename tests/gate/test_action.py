"""The GitHub action: its steps are run here, with a stand-in for what only GitHub has."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gate.repository import Repository

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS: dict[str, dict[str, Any]] = {step["name"]: step for step in ACTION["runs"]["steps"]}

GH = """\
#!/bin/sh
# Stands in for gh: notes how it was called, and answers what the test says.
echo "$@" >> calls
case "$*" in
  *--paginate*) cat comments 2>/dev/null; [ ! -e broken ] ;;
  *) [ ! -e forbidden ] ;;
esac
"""


def test_metadata():
    """
    The action has what GitHub asks of a composite one, and uses each of its inputs, and no other.
    """
    text = (ROOT / "action.yml").read_text()

    assert "composite" == ACTION["runs"]["using"]
    assert {"name", "description", "inputs", "outputs", "runs"} == set(ACTION)
    assert set(ACTION["inputs"]) == set(re.findall(r"inputs\.([\w-]+)", text))
    assert all({"description", "default"} == set(facts) for facts in ACTION["inputs"].values())
    for step in STEPS.values():
        assert ("uses" in step) != ("run" in step)
        assert "run" not in step or "bash" == step["shell"], "a composite action names the shell of each step"
        assert "${{" not in step.get("run", ""), "values come by the environment: in a script they would be code"


@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if "run" in step])
def test_scripts_are_bash(name: str):
    """
    Each script is bash.
    """
    subprocess.run(["bash", "-n"], input=STEPS[name]["run"], text=True, check=True)


def run(repository: Repository, name: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run one step's script as GitHub does, in the repository."""
    tools = repository.folder / "bin"
    tools.mkdir(exist_ok=True)
    for tool, text in (("gh", GH), ("looprig", f'#!/bin/sh\nexec {sys.executable} -m looprig "$@"\n')):
        (tools / tool).write_text(text)
        (tools / tool).chmod(0o755)
    environment = {
        **{name: text for name, text in os.environ.items() if not name.startswith("GITHUB_")},
        "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "GITHUB_OUTPUT": "outputs",
        "GITHUB_STEP_SUMMARY": "summary",
        "GITHUB_REPOSITORY": "acme/app",
        "GITHUB_BASE_REF": "",
        "NUMBER": "7",
        **more,
    }
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]]
    return subprocess.run(command, cwd=repository.folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose loop exceeds a limit."""
    repository = Repository.new(tmp_path_factory.mktemp("action"))
    repository.edit("app.py", 'NOTE = ""', 'NOTE = "hint: be brief"')
    done = run(repository, "Gate", BASELINE="baseline.json", STRICT="true")
    assert 0 == done.returncode, done.stderr
    return repository


def test_gate_step(fresh: Repository):
    """
    The step itself succeeds, so that the comment comes; its exit code is an output, and every file is written.
    """
    assert "exit-code=3\n" == (fresh.folder / "outputs").read_text()
    assert (fresh.folder / "summary").read_text().startswith("### ❌ looprig gate")
    assert {"gate.json", "gate.xml", "comment.md"} <= {path.name for path in (fresh.folder / ".looprig").iterdir()}
    assert 3 == run(fresh, "Verdict", CODE="3").returncode


COMMENT = "api --silent --method {} repos/acme/app/issues/{} --field body=@.looprig/comment.md"


@pytest.mark.parametrize(
    ("comments", "quiet", "called"),
    [
        ("", False, COMMENT.format("POST", "7/comments")),
        ("41\n42\n", False, COMMENT.format("PATCH", "comments/41")),
        ("41\n", True, COMMENT.format("PATCH", "comments/41")),
        ("", True, None),
    ],
    ids=["new", "edited", "edited to be green", "nothing to say"],
)
def test_one_comment(fresh: Repository, comments: str, quiet: bool, called: str | None):
    """
    There is one comment: it is edited where it is, made where something is to be said, and else there is none.
    """
    (fresh.folder / "calls").unlink(missing_ok=True)
    (fresh.folder / "comments").write_text(comments)
    report = fresh.folder / ".looprig" / "gate.json"
    report.write_text(json.dumps({**json.loads(report.read_text()), "quiet": quiet}))

    done = run(fresh, "Comment")

    assert 0 == done.returncode, done.stderr
    first, *rest = (fresh.folder / "calls").read_text().splitlines()
    assert first.startswith("api --paginate repos/acme/app/issues/7/comments --jq ")
    assert "<!-- looprig:gate -->" in first
    assert ([] if called is None else [called]) == rest


@pytest.mark.parametrize("fault", ["broken", "forbidden"])
def test_no_right_to_comment(fresh: Repository, fault: str):
    """
    A fork's pull request has no right to comment: that is said, and fails nothing.
    """
    (fresh.folder / "comments").write_text("41\n")
    (fresh.folder / fault).touch()
    done = run(fresh, "Comment")
    (fresh.folder / fault).unlink()

    assert 0 == done.returncode
    assert "::notice::" in done.stdout


def test_base_branch(fresh: Repository, tmp_path: Path):
    """
    In a pull request the branch that it goes to is fetched and compared with, also where the clone is shallow.
    """
    fresh.git("branch", "--force", "main", "HEAD")
    subprocess.run(
        ["git", "clone", "--quiet", "--depth", "1", f"file://{fresh.folder}", str(tmp_path / "clone")], check=True
    )
    clone = Repository(tmp_path / "clone")
    clone.write("pyproject.toml", "[tool.looprig]\nloop = 'app:make_loop'\nscenarios = ['nothing_*']\n")

    done = run(clone, "Gate", BASELINE="", STRICT="false", GITHUB_BASE_REF="main")

    assert 0 == done.returncode, done.stderr
    assert "exit-code=5\n" == (clone.folder / "outputs").read_text()
    clone.git("rev-parse", "--verify", "origin/main")
