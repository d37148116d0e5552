"""Work trees and environments of revisions: they are there, they are right, and nothing of them stays."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from looprig.home import Home
from looprig.revisions import checkout, environment, git, homes
from looprig.revisions.git import RevisionProblem
from tests.revisions.repositories import commit, loop, picture
from tests.revisions.repositories import git as run_git


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> git.Repository:
    """A repository of two commits, and a temporary folder that nobody else uses."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    folder = tmp_path / "project"
    commit(folder, {"app.py": "VALUE = 1\n", "src/lib.py": "", ".gitignore": "*.log\n"})
    commit(folder, {"app.py": "VALUE = 2\n"})
    return git.repository(folder)


def value(home: Home, code: str = "import app; print(app.VALUE)") -> str:
    """Return what *code* prints in a process of a home."""
    command = [home.python, "-c", code]
    done = subprocess.run(
        command, cwd=home.folder, env=dict(home.variables(0)), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def quiet(text: str) -> None:
    """Say nothing."""


def test_two_revisions(repository: git.Repository):
    """
    Each home imports its own revision, and both the same copy of the caller's looprig.
    """
    where = "import looprig; print(looprig.__file__)"
    with homes.homes(repository, ("HEAD~1", "HEAD"), None, quiet) as pair:
        assert ("1", "2") == (value(pair.before), value(pair.after))
        assert value(pair.before, where) == value(pair.after, where)
        assert Path(value(pair.before, where)).is_relative_to(pair.base)
        assert len(str(pair.before.folder)) == len(str(pair.after.folder))
        assert run_git(repository.top, "rev-parse", "HEAD~1") == pair.before.revision


def test_byte_code_is_there(repository: git.Repository):
    """
    No process is the first one to compile looprig's copy: it would take other instructions than those after it.
    """
    cached = "import importlib.util as util; print(util.cache_from_source(util.find_spec('looprig.metrics').origin))"
    with homes.homes(repository, ("HEAD~1", "HEAD"), None, quiet) as pair:
        assert all(Path(value(home, cached)).is_file() for home in (pair.before, pair.after))


def test_files_as_they_are(repository: git.Repository):
    """
    WORKTREE is the files as they are: what was changed, added and deleted, without what git ignores.
    """
    (repository.top / "app.py").write_text("VALUE = 3\n")
    (repository.top / "new.py").write_text("")
    (repository.top / "much.log").write_text("")
    (repository.top / "link").symlink_to("app.py")
    (repository.top / "src" / "lib.py").unlink()

    with homes.homes(repository, ("HEAD", "WORKTREE"), None, quiet) as pair:
        assert ("2", "3") == (value(pair.before), value(pair.after))
        assert {".gitignore", "app.py", "new.py", "link"} == {
            path.name for path in pair.after.folder.iterdir() if path.name != "__pycache__"
        }
        assert Path("app.py") == (pair.after.folder / "link").readlink()


@pytest.mark.parametrize("end", ["returns", "raises", "interrupted"])
@pytest.mark.parametrize("words", [("HEAD~1", "HEAD"), ("HEAD", "WORKTREE")])
def test_nothing_stays(repository: git.Repository, words: tuple[str, str], end: str):
    """
    However it ends, the user's files, .git to the last byte, and the temporary folder are as before.

    A hook would leave a file, and a dirty file would have its index entry refreshed.
    """
    hook = repository.top / ".git" / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch '{repository.top}/hooked'\n")
    hook.chmod(0o755)
    (repository.top / "app.py").write_text("VALUE = 3\n")
    os.utime(repository.top / "src" / "lib.py", (1, 1))  # git would have to look at it again
    before = picture(repository.top)

    def play() -> None:
        with homes.homes(repository, words, None, quiet) as pair:
            value(pair.after)
            if end != "returns":
                raise RuntimeError if end == "raises" else KeyboardInterrupt

    if end == "returns":
        play()
    else:
        with pytest.raises((RuntimeError, KeyboardInterrupt)):
            play()
    assert before == picture(repository.top)
    assert [] == list(Path(tempfile.gettempdir()).iterdir())


def test_within_a_hook(repository: git.Repository, monkeypatch: pytest.MonkeyPatch):
    """
    What git sets for its hooks leads nobody astray: not git, and not the processes of a revision.
    """
    index = repository.top / ".git" / "index"
    monkeypatch.setenv("GIT_DIR", str(repository.top / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(index))
    before = index.read_bytes()

    with homes.homes(repository, ("HEAD~1", "HEAD"), None, quiet) as pair:
        assert "" == value(pair.before, "import os; print(os.environ.get('GIT_DIR', ''))")

    assert before == index.read_bytes()


def test_killed_run(repository: git.Repository):
    """
    What a killed run left is removed by the next one, but not what belongs to a run that lives, or to the user.
    """
    own = repository.top.parent / "own"
    run_git(repository.top, "worktree", "add", "--quiet", "--detach", str(own))
    code = (
        "import sys, tempfile; from pathlib import Path; from looprig.revisions import git, homes\n"
        "tempfile.tempdir = sys.argv[1]\n"
        "with homes.homes(git.repository(Path.cwd()), ('HEAD', 'HEAD'), None, print) as pair:\n"
        "    print('ready', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, tempfile.gettempdir()]
    with subprocess.Popen(
        command, cwd=repository.top, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        assert b"ready\n" == process.stdout.readline()
        checkout.sweep(repository)
        assert 4 == len(run_git(repository.top, "worktree", "list").splitlines())
        process.kill()

    checkout.sweep(repository)

    assert 2 == len(run_git(repository.top, "worktree", "list").splitlines())
    assert [] == list(Path(tempfile.gettempdir()).iterdir())


def test_setup(repository: git.Repository, monkeypatch: pytest.MonkeyPatch):
    """
    The setup command runs in the revision's files, with a fresh environment active; what it installs goes before what
    only lies there, and looprig has what it needs.
    """
    install = (
        "import shutil, sysconfig, sys, os\n"
        "assert os.environ['VIRTUAL_ENV'] == sys.prefix != sys.base_prefix\n"
        "shutil.copy('app.py', sysconfig.get_path('purelib'))\n"
        "open('app.py', 'a').write('VALUE = \"not built\"')\n"
    )
    monkeypatch.setattr(environment, "WITH_PIP", False)
    commit(repository.top, {"install.py": install, "app.py": "VALUE = 4\n"})
    with homes.homes(repository, ("HEAD", "WORKTREE"), "python install.py", quiet) as pair:
        assert "4" == value(pair.before)
        assert "" == value(pair.before, "import lib, looprig.runner, looprig.target")
        assert pair.before.python.startswith(str(pair.base))


def test_pip_is_the_revisions(tmp_path: Path):
    """
    The pip that a setup command finds is that of the fresh environment.
    """
    _, changes = environment.make(tmp_path / "env", ())
    environment.run_setup("pip --version > told", tmp_path, changes, "HEAD")

    assert str(tmp_path / "env") in (tmp_path / "told").read_text()


def test_setup_that_fails(repository: git.Repository, monkeypatch: pytest.MonkeyPatch):
    """
    A setup command that fails is named with its exit code and its last words.
    """
    monkeypatch.setattr(environment, "WITH_PIP", False)
    with (
        pytest.raises(RevisionProblem, match=r"'echo no wheel; exit 7' ended with 7 in HEAD~1 .*: no wheel"),
        homes.homes(repository, ("HEAD~1", "HEAD"), "echo no wheel; exit 7", quiet),
    ):
        pass


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("mian", "there is no revision 'mian' in this repository; did you mean main?"),
        ("--all", "there is no revision '--all'"),
        ("HEAD~9", "name a branch, a tag or a commit"),
        ("", "there is no revision ''"),
    ],
)
def test_no_such_revision(repository: git.Repository, word: str, said: str):
    """
    A revision that is not there is named, with what was perhaps meant.
    """
    with pytest.raises(RevisionProblem, match=said.replace("?", r"\?")):
        repository.revision(word)


def test_shallow_clone(repository: git.Repository, tmp_path: Path):
    """
    In a shallow clone the way to the missing commits is shown.
    """
    run_git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{repository.top}", "shallow")

    with pytest.raises(RevisionProblem, match=r"shallow.*git fetch --unshallow.*fetch-depth: 0"):
        git.repository(tmp_path / "shallow").revision("HEAD~1")


def test_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """
    Without a repository, and without git, it is said what is missing.
    """
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(RevisionProblem, match="is in no git repository"):
        git.repository(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RevisionProblem, match="there is no git on the PATH"):
        git.repository(tmp_path)


def test_notes(repository: git.Repository):
    """
    A reader is told of changes that are not compared, of submodules, and of sides that are the same.
    """
    assert [] == notes(repository, "HEAD~1", "HEAD")
    assert "both sides are the same revision" in notes(repository, "HEAD", "main")
    (repository.top / "app.py").write_text("VALUE = 3\n")
    assert any("in no commit" in note for note in notes(repository, "HEAD~1", "HEAD"))
    assert [] == notes(repository, "HEAD", ".")
    commit(repository.top, {".gitmodules": ""})
    assert any("has submodules" in note for note in notes(repository, "HEAD~1", "HEAD"))


def notes(repository: git.Repository, *words: str) -> list[str]:
    """Return what a reader is told."""
    with homes.homes(repository, (words[0], words[1]), None, quiet) as pair:
        return list(pair.notes)


def test_folder_that_a_revision_has_not(repository: git.Repository):
    """
    From a folder that only one revision has, there is nothing to compare.
    """
    commit(repository.top, {"deep/app.py": loop()})
    with (
        pytest.raises(RevisionProblem, match="has no folder deep, in which you stand"),
        homes.homes(git.repository(repository.top / "deep"), ("HEAD~1", "HEAD"), None, quiet),
    ):
        pass
