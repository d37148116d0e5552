"""A baseline that runs now: a git revision, played beside the files as they are, each side in a home of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from looprig.gate.baseline import Baseline, of_outcomes
from looprig.gate.checks import Check, Played
from looprig.gate.config import FILE, Config, ConfigError, holds_table
from looprig.gate.layers import growths, judged, lookers, not_judged
from looprig.gate.plan import Planned
from looprig.home import Job
from looprig.progress import Tell
from looprig.revisions import git, homes, play
from looprig.revisions.play import Match
from looprig.runner import Outcome
from looprig.target import Target
from looprig.workload import pack


@dataclass(frozen=True, slots=True)
class Live:
    """What was played: the runs of the files as they are, the baseline's values, what the layers found."""

    played: Sequence[Played]
    baseline: Baseline | None
    checks: Sequence[Check]
    left_out: dict[str, str]
    notes: Sequence[str]
    where: tuple[str, int | None] | None


def elsewhere(spec: str) -> Target:
    """Return a loop that is found where it is played, and not in this process."""

    def factory(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError(f"{spec} is played in a home of its own")

    return Target(spec, factory)


def has_gate(revision: str) -> bool:
    """Say whether the revision has a configuration; where it has none, its loop may not be there either.

    Raises:
        ConfigError: where there is no such revision.
    """
    try:
        repository = git.repository(Path.cwd())
        commit = repository.revision(revision).commit
        if commit is None:
            return True
        names = repository.git("ls-tree", "--name-only", commit, "--", f"./{FILE}", folder=Path.cwd())
        text = repository.git("show", f"{commit}:./{FILE}", folder=Path.cwd()) if names else ""
    except git.RevisionProblem as error:
        raise _no_revision(revision, error) from error
    return holds_table(text)


def _no_revision(revision: str, error: Exception) -> ConfigError:
    return ConfigError(
        f"the baseline {revision} is taken for a git revision: {error}; where there is nothing to compare with, "
        f"say --baseline none"
    )


def work(config: Config, steps: Sequence[Planned]) -> int:
    """Return how many runs and verdicts it takes."""
    wanted = [looker for looker in lookers(config) if looker.wanted != "never" and looker.missing is None]
    grown = len(config.growth.limits) if config.growth is not None else 0
    return len(steps) * 2 + len(wanted) * len(_first_seeds(steps)) + grown


def run(config: Config, revision: str, steps: Sequence[Planned], tell: Tell, say: Callable[[str], None]) -> Live:
    """Play the steps on both sides, in turn, then have the layers look; *say* is told what takes long.

    Raises:
        ConfigError: where the revision cannot be had, or its loop is not there.
        LoopError: where a loop cannot be driven.
    """
    with _match(config, revision, say) as match:
        steps = [(label, replace(step, settings=play.with_clock(step.settings, match))) for label, step in steps]
        before: list[Outcome] = []
        played: list[Played] = []
        for number, (label, step) in enumerate(steps):
            packed = pack(step.scenario())
            pair: dict[int, Outcome] = {}
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                pair[side] = match.players[side].play(packed, step.settings)
            before.append(pair[0])
            played.append(Played(label, step, pair[1]))
            tell.step(2 * len(played), label)
        checks, left_out = _looked(config, match, steps, tell)
        settings = steps[0][1].settings
        baseline = of_outcomes(match.pair.names[0], before, settings)
        return Live(played, baseline, checks, left_out, match.pair.notes, _where(match))


@contextmanager
def _match(config: Config, revision: str, say: Callable[[str], None]) -> Iterator[Match]:
    words = (revision, git.WORKTREE)
    try:
        with (
            homes.homes(git.repository(Path.cwd()), words, config.setup, say) as pair,
            play.match(pair, (config.loop, config.loop)) as match,
        ):
            yield match
    except git.RevisionProblem as error:
        raise _no_revision(revision, error) from error


def _looked(config: Config, match: Match, steps: Sequence[Planned], tell: Tell) -> tuple[list[Check], dict[str, str]]:
    """Have each layer look that is wanted, and say of those that cannot why."""
    checks: list[Check] = []
    left_out: dict[str, str] = {}
    first = _first_seeds(steps)
    jobs = [Job(label, pack(step.scenario()), *match.parties) for label, step in first]
    done = len(steps) * 2
    for looker in lookers(config):
        if looker.wanted == "never":
            continue
        why = "the loop needs the real clock" if first[0][1].settings.clock == "real" else looker.missing
        if why is None:
            checks += judged(looker, looker.look(jobs, further(tell, done, len(jobs))))
            done += len(jobs)
        else:
            left_out[looker.said] = why
            checks += not_judged(looker, why, [label for label, _ in first])
    if config.growth is not None:
        checks += growths(config, match.parties[1], further(tell, done, len(config.growth.limits)))
    return checks, left_out


def _first_seeds(steps: Sequence[Planned]) -> Sequence[Planned]:
    """Return one step of each scenario: what a scenario costs hardly depends on the seed, and verdicts take time."""
    first: dict[tuple[object, ...], Planned] = {}
    for label, step in steps:
        first.setdefault((step.file.name, tuple(step.settings.parameters.items())), (label, step))
    return list(first.values())


def further(tell: Tell, done: int, steps: int) -> Tell:
    """Return *tell* for work that begins after *done* steps and counts as so many, however it counts itself."""
    return Tell(lambda number, name: tell.step(done + min(number, steps), name), tell.turn)


def _where(match: Match) -> tuple[str, int | None] | None:
    """Return the file that the loop comes from, as it lies in the user's own work tree."""
    file, folder = match.players[1].file, match.pair.after.folder.resolve()
    if file is None or not file.is_relative_to(folder):
        return None
    return file.relative_to(folder).as_posix(), None
