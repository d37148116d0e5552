"""`looprig report`."""

from __future__ import annotations

from pathlib import Path

import click

from looprig.cli.root import cli
from looprig.cli.shared import EXIT_CODES, UsageProblem, apart, log_from, terminal_width, write_file
from looprig.version import __version__


@cli.command("report", epilog=EXIT_CODES)
@click.option("--phase3", is_flag=True, help="The seed report: its tables, and each of its claims, measured.")
@click.option("--claim", metavar="ID", help="One claim in detail, on standard output: A1, B3, P1 ...")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=None,
    help="Where to write; - is standard output.  [default: reports/phase3.md]",
)
def report_command(phase3: bool, claim: str | None, output: Path | None) -> None:
    """Measure the report that the project started with: what it claims, what is so, and the verdicts.

    A verdict is a finding and no failure: the exit code is 0 once everything is measured.

    \b
    looprig report --phase3
    looprig report --phase3 --claim A5
    """
    if not phase3:
        raise UsageProblem("say which report: looprig report --phase3")
    from looprig.phase3.bench import CannotMeasure
    from looprig.phase3.study import UnknownClaim

    log_from(None)
    try:
        if claim is not None:
            write_file(output or Path("-"), lambda: _claim_text(claim))
        else:
            write_file(output or Path("reports/phase3.md"), _phase3_page)
    except (UnknownClaim, CannotMeasure) as error:
        raise UsageProblem(str(error)) from error


def _claim_text(name: str) -> str:
    from looprig.phase3 import bench, claim, study
    from looprig.report import phase3

    found = study.find(name)
    with apart():
        return phase3.claim_text(claim.judge(found, bench.Bench()), terminal_width())


def _phase3_page() -> str:
    from looprig import suite
    from looprig.phase3 import bench, study
    from looprig.progress import progress
    from looprig.report import phase3

    with progress(len(study.CLAIMS)) as tell, apart():
        found = study.study(bench.Bench(tell=tell), tell.step)
    return phase3.page(found, {"looprig": __version__, **suite.machine()})
