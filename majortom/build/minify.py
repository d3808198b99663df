"""Minifies sources: removes comments, docstrings and types. Every line keeps its number."""

from __future__ import annotations

import ast
import io
import re
import tokenize

Cut = tuple[int, int, int, int, str]
"""A cut from (line, byte) to (line, byte), and its replacement."""


def minify_source(source: bytes) -> bytes:
    """Remove comments, docstrings and types from a module, and the imports of `typing` that only types needed.

    Tracebacks name the same lines as before.

    The types of a class's fields stay, since dataclasses use them.

    Raises: SyntaxError: the source is no Python.
    """
    lines = source.decode("utf-8").splitlines(keepends=True)
    nodes = list(ast.walk(ast.parse(source)))
    text = _cut(lines, [*_texts(nodes), *_types(nodes, lines), *_variables(nodes)])
    return _without_comments(_cut(text.splitlines(keepends=True), _imports(ast.parse(text)))).encode()


def _cut(lines: list[str], cuts: list[Cut]) -> str:
    # From the end backwards, so that earlier cuts keep their positions. Columns of `ast` count bytes of UTF-8.
    for first, column, last, end, instead in sorted(cuts, reverse=True):
        head, tail = lines[first - 1].encode()[:column].decode(), lines[last - 1].encode()[end:].decode()
        lines[first - 1 : last] = [f"{head}{instead}{tail}", *["\n"] * (last - first)]
    return "".join(lines)


def minify_script(source: bytes) -> bytes:
    """Remove indentation, empty lines and comment lines from a shell script without multi-line texts."""
    lines = (line.strip() for line in source.splitlines())
    return b"".join(line + b"\n" for line in lines if line and not line.startswith(b"#"))


def _texts(nodes: list[ast.AST]) -> list[Cut]:
    """Strings that are statements: docstrings, and texts below attributes."""
    return [
        (node.lineno, node.col_offset, *_end(node), "pass")
        for node in nodes
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]


def _types(nodes: list[ast.AST], lines: list[str]) -> list[Cut]:
    cuts: list[Cut] = []
    for node in nodes:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.returns is not None:
            row = node.returns.lineno
            before = lines[row - 1].encode()[: node.returns.col_offset]
            arrow = before.rindex(b"->")
            cuts.append((row, len(before[:arrow].rstrip()), *_end(node.returns), ""))
        given = node.args
        cuts += [
            (arg.lineno, arg.col_offset + len(arg.arg.encode()), *_end(arg.annotation), "")
            for arg in [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            if arg is not None and arg.annotation is not None
        ]
    return cuts


def _variables(nodes: list[ast.AST]) -> list[Cut]:
    """Types of variables with a value, except a class's fields."""
    fields = {id(statement) for node in nodes if isinstance(node, ast.ClassDef) for statement in node.body}
    return [
        (*_end(node.target), *_end(node.annotation), "")
        for node in nodes
        if isinstance(node, ast.AnnAssign) and node.value is not None and node.simple and id(node) not in fields
    ]


def _imports(tree: ast.Module) -> list[Cut]:
    """Imports of `typing` with unused names. A string may be a type that is read at run time, so its words count as used names."""
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            used.add(node.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            used.update(re.findall(r"\w+", node.value))
    cuts: list[Cut] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "typing":
            kept = [alias.name for alias in node.names if (alias.asname or alias.name) in used or alias.asname]
            text = f"from typing import {', '.join(kept)}" if kept else "pass"
            cuts.append((node.lineno, node.col_offset, *_end(node), text))
    return cuts


def _end(node: ast.expr | ast.stmt) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return node.end_lineno, node.end_col_offset


def _without_comments(text: str) -> str:
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip() + "\n"
    return "".join(lines)
