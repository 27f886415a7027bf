"""The shape of the code: small modules, telling names, nothing dangerous, nothing left undone."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = sorted([*(ROOT / "geotransfer").rglob("*.py"), ROOT / "app.py"])
MAX_LINES = 450
MAX_APP_LINES = 20
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers", "stuff"}
DANGEROUS_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
DANGEROUS_CALLS = {"eval", "exec", "compile", "system", "popen"}
MACHINE_PATH = re.compile(r"\.\./shared|[\"'](?:/home/|/work/|/root/|/Users/)")
UNDONE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def name_file(path: Path) -> str:
    return str(path.relative_to(ROOT))


Finder = Callable[[Path], list[str]]


def find_everywhere(find: Finder) -> dict[str, list[str]]:
    found = {name_file(path): find(path) for path in PRODUCT}
    return {name: what for name, what in found.items() if what}


def test_there_is_something_to_look_at() -> None:
    assert len(PRODUCT) > 100


def test_modules_are_short() -> None:
    lengths = {name_file(p): len(p.read_text().splitlines()) for p in PRODUCT}
    assert {n: length for n, length in lengths.items() if length > MAX_LINES} == {}


def test_the_app_only_composes() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) <= MAX_APP_LINES


def test_no_module_or_folder_has_a_name_that_says_nothing() -> None:
    parts = {part for p in PRODUCT for part in re.split(r"[/_.]", name_file(p))}
    assert parts & VAGUE == set()


def list_calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Calls by their last name: ``eval(…)`` and ``os.system(…)``, but not ``frame.eval(…)``."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            found.append((node.func.id, node))
        elif isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "os":
            found.append((node.func.attr, node))
    return found


def list_imports(tree: ast.AST) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def find_dangers(path: Path) -> list[str]:
    tree = ast.parse(path.read_text())
    allowing = [
        f"{keyword.arg}={ast.unparse(keyword.value)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg in ("shell", "allow_pickle") and ast.unparse(keyword.value) != "False"
    ]
    calls = [name for name, _ in list_calls(tree) if name in DANGEROUS_CALLS]
    return [*sorted(list_imports(tree) & DANGEROUS_MODULES), *calls, *allowing]


def find_undone(path: Path) -> list[str]:
    text = path.read_text()
    comments = [
        token.string
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT
    ]
    raised = [
        ast.unparse(node.exc)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Raise) and node.exc is not None
    ]
    return [line for line in comments if UNDONE.search(line)] + [
        what for what in raised if what.startswith("NotImplementedError")
    ]


def find_machine_paths(path: Path) -> list[str]:
    return MACHINE_PATH.findall(path.read_text())


def find_shell_commands(path: Path) -> list[str]:
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).startswith("subprocess.")
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    ]


def test_nothing_is_unpickled_or_evaluated() -> None:
    assert find_everywhere(find_dangers) == {}


def test_nothing_is_left_undone() -> None:
    assert find_everywhere(find_undone) == {}


def test_no_path_of_a_machine_is_named() -> None:
    """Reference data is found by a setting; product code names no folder beside the repository."""
    assert find_everywhere(find_machine_paths) == {}


def test_commands_are_lists() -> None:
    """So that no file name or label can become part of a shell's sentence."""
    assert find_everywhere(find_shell_commands) == {}


def test_the_finders_find(tmp_path: Path) -> None:
    """Each of the checks above would see what it is there to see."""
    path = tmp_path / "bad.py"
    path.write_text(
        "import pickle, subprocess\n# TODO later\neval('1')\n"
        "subprocess.run('ls', shell=True)\nopen('../shared/data')\nraise NotImplementedError\n"
    )
    assert find_dangers(path) == ["pickle", "eval", "shell=True"]
    assert len(find_undone(path)) == 2
    assert find_machine_paths(path)
    assert find_shell_commands(path)


def test_nothing_copied_from_the_reference_data() -> None:
    """None of its files is in the repository."""
    names = {"training_data.txt", "coordinates_epsg6933.txt", "published_confusion_matrix.csv"}
    found = [name_file(p) for p in ROOT.rglob("*") if p.name in names and ".venv" not in p.parts]
    assert found == []
