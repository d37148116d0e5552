"""The compose file, and the commands of the recipes: each is one that the command line takes, and they fit together."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from looprig.cli import cli

ROOT = Path(__file__).parents[2]
FILE = ROOT / "loadtests" / "compose.yaml"
PAGES = (ROOT / "loadtests" / "README.md", ROOT / "README.md")


def services() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(FILE.read_text())["services"]
    return found


def parsed(words: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """Return the name of the command and the options that it reads from *words*; it is not run."""
    assert words[0] == "looprig"
    context = click.Context(cli)
    command: click.Command = cli
    rest = list(words[1:])
    while isinstance(command, click.Group):
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command = found
    return str(command.name), command.make_context(command.name, rest).params


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no pyproject.toml gives other defaults


@pytest.mark.parametrize("name", ["service", "plan", "master", "worker"])
def test_commands_are_taken(name: str):
    """
    Each service of the compose file runs a command that looprig has, with options that it takes.
    """
    command, _ = parsed(services()[name]["command"])

    assert command == ("loop" if name == "service" else "load")


def test_services_fit_together():
    """
    Master and workers share the plan that is written, as many workers are expected as there are, and every host that a
    command names is a service of the file.
    """
    read = {name: parsed(service["command"])[1] for name, service in services().items()}

    assert read["plan"]["write_plan"]
    assert read["master"]["plan"] == read["worker"]["plan"] == read["plan"]["folder"] / "plan.json"
    workers = services()["worker"]["deploy"]["replicas"] * read["worker"]["processes"]
    assert read["master"]["expect_workers"] == read["plan"]["expect_workers"] == workers
    assert read["worker"]["worker"] in services()
    assert read["master"]["port"] == read["worker"]["port"]
    assert read["plan"]["url"] == f"http://service:{read['service']['port']}"
    for service in services().values():
        assert str(read["plan"]["folder"]) in {volume.partition(":")[2] for volume in service["volumes"]}
        assert "ports" not in service, "nothing here asks for a password"


def test_order():
    """
    Nobody makes load before the service answers and the plan is there.
    """
    for name in ("master", "worker"):
        assert services()[name]["depends_on"] == {
            "service": {"condition": "service_healthy"},
            "plan": {"condition": "service_completed_successfully"},
        }


def commands(page: Path) -> Iterator[list[str]]:
    """Yield each command of `looprig load` in the code blocks of a page."""
    for block in re.findall(r"```(?:console|sh)\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if (at := line.find("looprig load")) >= 0:
                yield shlex.split(line[at:], comments=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_recipes_are_taken(page: Path):
    """
    Every command that the pages tell people to type is one that looprig takes.
    """
    found = list(commands(page))

    assert found
    for words in found:
        assert parsed(words)[0] == "load", words
