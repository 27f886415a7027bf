"""What the documents promise exists: commands, files, targets, settings, names."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest
import typer

import geotransfer
from geotransfer.cli.root import app
from geotransfer.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def list_commands(
    group: click.Command, path: tuple[str, ...] = ()
) -> dict[tuple[str, ...], click.Command]:
    """Every command by its words, groups among them."""
    found = {path: group} if path else {}
    for name, command in getattr(group, "commands", {}).items():
        found |= list_commands(command, (*path, name))
    return found


COMMANDS = list_commands(typer.main.get_command(app))


def find_command(line: str) -> tuple[str, ...]:
    """The longest run of a line's words that is a command."""
    words = tuple(re.findall(r"[a-z-]+", line.split("geotransfer ", 1)[1].split(" -")[0]))
    for length in (2, 1):
        if words[:length] in COMMANDS:
            return words[:length]
    raise AssertionError(f"no such command: {line}")


def list_mentions(text: str) -> list[str]:
    """Command lines in a document or a message: in a block of their own, or between backticks."""
    return re.findall(r"^geotransfer .+$", text, re.MULTILINE) + re.findall(
        r"`(geotransfer [a-z][^`]*)`", text
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_a_document_names_exists(path: Path) -> None:
    for line in list_mentions(path.read_text()):
        command = COMMANDS[find_command(line)]
        options = {option for p in command.params for option in p.opts}
        given = set(re.findall(r"(--[a-z-]+)", line)) - {"--workspace", "--json"}
        assert given <= options, line


def test_the_readme_shows_the_tour() -> None:
    shown = {find_command(line) for line in list_mentions(README)}
    assert {("init",), ("refresh",), ("fine-tune",), ("promote",), ("history",)} <= shown


def test_every_command_an_error_message_names_exists() -> None:
    """A remedy that cannot be typed is none."""
    lines = 0
    for path in (ROOT / "geotransfer").rglob("*.py"):
        text = re.sub(r"\"\s*\n\s*f?\"", "", path.read_text())
        for line in list_mentions(text):
            find_command(line)
            lines += 1
    assert lines > 10


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_help(path: tuple[str, ...]) -> None:
    command = COMMANDS[path]
    assert command.help or (command.callback and command.callback.__doc__), path
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.opts}"


def test_every_verb_of_the_product_is_a_command() -> None:
    verbs = {words[0] for words in COMMANDS}
    assert {
        "init", "demo", "regions", "scenes", "refresh", "train", "evaluate", "import", "fetch",
        "cost", "jobs", "serve", "worker", "labels", "fine-tune", "promote", "rollback", "history",
        "verdict",
    } <= verbs  # fmt: skip


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", path.read_text())
    assert [t for t in targets if not (path.parent / t).exists()] == []


def test_targets_a_document_names_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {t for p in DOCUMENTS for t in re.findall(r"`?make ([a-z]+)\b", p.read_text())}
    assert {"run", "test"} <= named & targets
    told = re.findall(r"^make ([a-z]+) ", README, re.MULTILINE)
    assert set(told) <= targets


def test_bare_make_lists_every_target() -> None:
    told = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    assert {line.split()[1] for line in told.splitlines()} == set(phony.group(1).split())


def test_the_notebook_lines_use_public_names() -> None:
    block = re.search(r"```python\n(.+?)```", README, re.DOTALL)
    assert block is not None
    compile(block.group(1), "README.md", "exec")
    assert set(re.findall(r"\bgt\.(\w+)", block.group(1))) <= set(geotransfer.__all__)


def test_variables_named_anywhere_are_settings() -> None:
    known = {s.variable for s in SETTINGS}
    named = {v for p in DOCUMENTS for v in re.findall(r"GEOTRANSFER_[A-Z_]+", p.read_text())}
    assert {
        v for v in named if not v.startswith(("GEOTRANSFER_REQUIRE", "GEOTRANSFER_TEST"))
    } <= known


def test_the_changelog_starts_with_what_is_new() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## (Unreleased|\d+\.\d+\.\d+)", text, re.MULTILINE)


def test_licence_and_notice_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "CC BY 4.0" in (ROOT / "NOTICE").read_text() or "CC-BY" in (ROOT / "NOTICE").read_text()


def test_architecture_names_every_room() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = {p.name for p in (ROOT / "geotransfer").iterdir() if (p / "__init__.py").exists()}
    assert {room for room in rooms if f"`{room}/`" not in text} == set()


def test_decisions_are_numbered_once() -> None:
    numbers = [p.name[:4] for p in (ROOT / "docs" / "decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers))
    assert all(number.isdigit() for number in numbers)
