"""The shipped scripts have the same meaning and line numbers as the sources."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

from majortom.build.minify import minify_script, minify_source

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted((ROOT / "spider").rglob("*.py"))


def positions(tree: ast.AST) -> list[tuple[str, int]]:
    """Every node but texts that do nothing and imports of types, with its line. A variable is the same with its type and without."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.append((f"{list(map(ast.dump, targets))} = {ast.dump(node.value)}", node.lineno))
            continue
        if (
            isinstance(node, ast.Pass)
            or (isinstance(node, ast.ImportFrom) and node.module == "typing")
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str))
        ):
            continue
        if isinstance(node, ast.stmt):
            found.append((ast.dump(node) if not hasattr(node, "body") else type(node).__name__, node.lineno))
    return found


def test_every_minified_module_keeps_its_behaviour_and_lines() -> None:
    for number, path in enumerate(SOURCES):
        source = path.read_bytes()
        lean = minify_source(source)
        assert positions(ast.parse(lean)) == positions(ast.parse(source)), path
        assert lean.count(b"\n") == source.count(b"\n"), path
        if number % 10 == 0:
            assert minify_source(lean) == lean, path


def functions(script: bytes) -> str:
    """A shell's own listing of all functions of a script."""
    body = script.rpartition(b'main "$@"')[0]
    assert body
    return subprocess.run(["bash", "--posix", "-c", body + b"\ndeclare -f"], capture_output=True, text=True, check=True).stdout


def test_the_minified_script_has_the_same_functions() -> None:
    source = (ROOT / "majortom/remote/lifecycle.sh").read_bytes()
    lean = minify_script(source)
    assert functions(lean) == functions(source)
    assert minify_script(lean) == lean
    assert len(lean) < len(source)


def test_text_that_resembles_a_comment_is_preserved() -> None:
    source = b'class A:\n    """Doc # no."""\n\ndef f():\n    "one line"\n\nx = "# text"  # gone\ny = """\n# text\n"""; z = 1\n"na\xc3\xafve"; w = 2\n'
    lean = minify_source(source)
    assert lean == b'class A:\n    pass\n\ndef f():\n    pass\n\nx = "# text"\ny = """\n# text\n"""; z = 1\npass; w = 2\n'


def test_function_annotations_are_removed_and_field_types_preserved() -> None:
    source = (
        b"class A:\n    kept: int = 1\n\n    async def f(self, a: int, /, b: 'Dict[str, \xc3\xa9]' = {}, *rest: str, c: List[\n"
        b"        int\n    ] = [], **more: object) -> 'Tuple[int, A]': return (lambda: a)()\n"
    )
    lean = minify_source(source)
    assert lean == (
        b"class A:\n    kept: int = 1\n\n    async def f(self, a, /, b = {}, *rest, c = [], **more): return (lambda: a)()\n\n\n"
    )


def test_variable_annotations_and_their_imports_are_removed() -> None:
    source = (
        b"from typing import (\n    Dict,\n    List,\n    NamedTuple,\n)\nfrom typing import Optional\n\n"
        b"a: Dict[str, int] = {}\nclass B(NamedTuple):\n    c: 'List[int]'\n    d: int = 1\n\ndef f():\n    e: Optional[int] = None; g: int\n"
    )
    assert minify_source(source) == (
        b"from typing import List, NamedTuple\n\n\n\n\npass\n\n"
        b"a = {}\nclass B(NamedTuple):\n    c: 'List[int]'\n    d: int = 1\n\ndef f():\n    e = None; g: int\n"
    )
