"""Where a gate's reports go: several formats in one run, to standard output and into files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from looprig.gate.checks import Gated
from looprig.gate.config import FILE, ConfigError
from looprig.report import gate_github, gate_json, gate_junit, gate_markdown, gate_text, gate_words
from looprig.report.results import as_json

FORMATS = ("table", "json", "junit", "github", "markdown", "summary")
"""``markdown`` is a pull request's comment, ``github`` are annotations, ``summary`` is a step's summary."""

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
"""The variable in which GitHub names the file that a step's summary is added to."""


@dataclass(frozen=True, slots=True)
class Output:
    """A format, and the file that it is written to; ``-`` is standard output."""

    layout: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Output:
        """Read ``FORMAT=FILE``.

        Raises:
            ValueError: where it is no such thing; the text says what would be.
        """
        layout, equals, path = text.partition("=")
        if not equals or not path or layout not in FORMATS:
            raise ValueError(f"--output takes FORMAT=FILE with one of {', '.join(FORMATS)}, not {text!r}")
        return cls(layout, path)


def rendered(gated: Gated | ConfigError, layout: str, width: int | None = None) -> str:
    """Return the report of a gate, or of one that could not start, in one format."""
    if isinstance(gated, ConfigError):
        return _problem(gated, layout)
    match layout:
        case "json":
            return as_json(gate_json.as_data(gated))
        case "junit":
            return gate_junit.as_junit(gated)
        case "github":
            return gate_github.as_annotations(gated)
        case "markdown":
            return gate_markdown.comment(gated)
        case "summary":
            return gate_markdown.summary(gated)
        case _:
            return f"{gate_text.page(gated, width)}\n{gate_words.title(gated)}"


def _problem(error: ConfigError, layout: str) -> str:
    text = str(error)
    match layout:
        case "json":
            return gate_json.of_problem(text)
        case "junit":
            return gate_junit.of_problem(text)
        case "github":
            return gate_github.of_problem(text, FILE if error.line else None, error.line)
        case "markdown" | "summary":
            return gate_markdown.of_problem(text, marked=layout == "markdown")
        case _:
            return ""  # the line on standard error says it


def write(
    gated: Gated | ConfigError,
    outputs: Sequence[Output],
    width: int | None = None,
    environment: Mapping[str, str] = os.environ,
) -> list[tuple[str, str]]:
    """Write the files, and return what goes to standard output: each format with its text.

    With annotations comes the step's summary, where GitHub names a file for it: both are for the same reader.

    Raises:
        OSError: where a file cannot be written.
    """
    printed = []
    for output in outputs:
        text = rendered(gated, output.layout, width if output.path == "-" else None)
        if output.path == "-" and text:
            printed.append((output.layout, text))
        elif output.path == "-":
            continue
        else:
            _into(Path(output.path), text, added=output.layout == "summary")
    summary = environment.get(STEP_SUMMARY)
    layouts = {output.layout for output in outputs}
    if summary and "github" in layouts and "summary" not in layouts:
        _into(Path(summary), rendered(gated, "summary"), added=True)
    return printed


def _into(path: Path, text: str, *, added: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a" if added else "w", encoding="utf-8") as file:
        file.write(f"{text}\n")
