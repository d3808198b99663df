"""Sources without what only people read: comments and docstrings go, every line keeps its number."""

from __future__ import annotations

import ast
import io
import tokenize


def lean_source(source: bytes) -> bytes:
    """Take comments and docstrings out of a module. Tracebacks name the same lines as before.

    Raises: SyntaxError: it is no Python.
    """
    text = source.decode("utf-8")
    lines = text.splitlines(keepends=True)
    # From the end backwards, so that what comes before keeps its place. Columns of `ast` count bytes of UTF-8.
    cuts = [(node.lineno, node.col_offset, node.end_lineno, node.end_col_offset) for node in _texts(ast.parse(text))]
    for first, column, last, end in sorted(cuts, reverse=True):
        assert last is not None
        head, tail = lines[first - 1].encode()[:column].decode(), lines[last - 1].encode()[end:].decode()
        lines[first - 1 : last] = [f"{head}pass{tail}", *["\n"] * (last - first)]
    return _without_comments("".join(lines)).encode()


def _texts(tree: ast.AST) -> list[ast.Expr]:
    """Strings that are statements: they do nothing, wherever they stand."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]


def _without_comments(text: str) -> str:
    lines = text.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip() + "\n"
    return "".join(lines)
