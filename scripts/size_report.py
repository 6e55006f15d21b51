# SPDX-License-Identifier: EUPL-1.2
"""Measures the size of the source beside the codebases it is compared with, and asserts limits."""

from __future__ import annotations

import ast
import io
import math
import statistics
import sys
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("lamppost", "lamppost_app", "ingest", "processors", "sinks", "sensor_sim")

FUNCTION_LINES_MAX = 60
FILE_LINES_MAX = 500
NESTING_MAX = 4

HEADINGS = (
    "",
    "files",
    "lines per file",
    "function body",
    "nesting",
    "comments",
    "docstrings",
    "public with docstring",
    "annotated",
)
# Source only, tests apart, measured the same way; comments and docstrings per 100 code lines.
ANCHORS = (
    ("starlette", "34", "142/548/876", "5/24/149", "2 (4)", "6.1", "5.3", "9 %", "100 %"),
    ("httpx", "23", "248/641/2019", "6/31/133", "2 (5)", "7.8", "26.6", "48 %", "100 %"),
    ("structlog", "21", "245/989/1249", "4/20/133", "1 (4)", "8.6", "78.4", "80 %", "99 %"),
    ("bytewax", "21", "213/715/3006", "6/20/166", "1 (4)", "5.8", "96.4", "38 %", "95 %"),
    ("river (2021)", "324", "92/365/1031", "5/24/137", "2 (7)", "5.8", "101.7", "29 %", "16 %"),
    ("ioos_qc", "16", "186/633/1535", "9/55/156", "3 (6)", "13.8", "30.8", "45 %", "56 %"),
    ("telegraf (Go)", "164", "180/405/873", "~11/~46/201", "3", "~7.5", "-", "-", "-"),
)

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.With,
    ast.AsyncWith,
    ast.Try,
    ast.TryStar,
    ast.Match,
)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True)
class FunctionFigures:
    """What is measured of one function."""

    where: str
    body_lines: int
    nesting: int
    public: bool
    documented: bool
    annotated: bool


@dataclass
class Figures:
    """What is measured of all files together."""

    files: dict[str, int] = field(default_factory=dict)
    functions: list[FunctionFigures] = field(default_factory=list)
    code_lines: int = 0
    comment_lines: int = 0
    docstring_lines: int = 0

    def add(self, path: Path) -> None:
        """Measure one file."""
        name = path.relative_to(ROOT).as_posix()
        source = path.read_text("utf-8")
        tree = ast.parse(source, filename=name)
        self.files[name] = len(source.splitlines())
        comments, code = count_lines(source)
        documentation = sum(docstring_lines(node) for node in ast.walk(tree))
        self.comment_lines += comments
        self.docstring_lines += documentation
        self.code_lines += code - documentation
        self.functions.extend(measure(name, found) for found in functions_of(tree))

    def row(self) -> tuple[str, ...]:
        """Return our line of the table."""
        bodies = [function.body_lines for function in self.functions]
        nestings = [function.nesting for function in self.functions]
        public = [function.documented for function in self.functions if function.public]
        annotated = [function.annotated for function in self.functions]
        return (
            "lamppost",
            str(len(self.files)),
            spread(list(self.files.values())),
            spread(bodies),
            f"{percentile_90(nestings)} ({max(nestings)})",
            f"{100 * self.comment_lines / self.code_lines:.1f}",
            f"{100 * self.docstring_lines / self.code_lines:.1f}",
            share(public),
            share(annotated),
        )

    def violations(self) -> Iterator[str]:
        """Say what breaks a limit, and where."""
        for name, lines in self.files.items():
            if lines > FILE_LINES_MAX:
                yield f"{name}: {lines} lines, limit {FILE_LINES_MAX}"
        for function in self.functions:
            if function.body_lines > FUNCTION_LINES_MAX:
                yield f"{function.where}: {function.body_lines} lines, limit {FUNCTION_LINES_MAX}"
            if function.nesting > NESTING_MAX:
                yield f"{function.where}: nested {function.nesting} deep, limit {NESTING_MAX}"
            if not function.annotated:
                yield f"{function.where}: not fully annotated"


def main(paths: Sequence[Path] = ()) -> int:
    """Print the table and return 1 when a limit is broken."""
    figures = Figures()
    for path in paths or source_files():
        figures.add(path)
    if not figures.functions:
        print("size report: no functions found", file=sys.stderr)
        return 1
    print_table([HEADINGS, figures.row(), *ANCHORS])
    print(
        "Lines as median/p90/max, nesting as p90 (max), comments and docstrings per 100 code lines."
    )
    broken = list(figures.violations())
    for line in broken:
        print(f"size report: {line}", file=sys.stderr)
    return 1 if broken else 0


def source_files() -> list[Path]:
    """Return every Python file that is shipped."""
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def count_lines(source: str) -> tuple[int, int]:
    """Return how many lines hold nothing but a comment, and how many hold code or docstrings."""
    comments: set[int] = set()
    code: set[int] = set()
    quiet = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            comments.add(token.start[0])
        elif token.type not in quiet:
            code.update(range(token.start[0], token.end[0] + 1))
    return len(comments - code), len(code)


def docstring_of(node: ast.AST) -> ast.Expr | None:
    """Return the docstring statement of a module, class or function."""
    if not isinstance(node, ast.Module | ast.ClassDef | Function) or not node.body:
        return None
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        return first if isinstance(first.value.value, str) else None
    return None


def docstring_lines(node: ast.AST) -> int:
    """Return how many lines a node's docstring takes."""
    found = docstring_of(node)
    return 0 if found is None else lines_of(found, found)


def lines_of(first: ast.stmt, last: ast.stmt) -> int:
    """Return how many lines lie between two statements, both included."""
    return (last.end_lineno or last.lineno) - first.lineno + 1


def functions_of(node: ast.AST, *, public: bool = True) -> Iterator[tuple[Function, bool]]:
    """Yield each function and whether a reader from outside can see it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            seen = public and not child.name.startswith("_")
            yield child, seen
            yield from functions_of(child, public=False)
        elif isinstance(child, ast.ClassDef):
            yield from functions_of(child, public=public and not child.name.startswith("_"))
        else:
            yield from functions_of(child, public=public)


def measure(name: str, found: tuple[Function, bool]) -> FunctionFigures:
    """Measure one function."""
    function, public = found
    documentation = docstring_of(function)
    body = function.body[1:] if documentation else function.body
    return FunctionFigures(
        where=f"{name}:{function.lineno} {function.name}",
        body_lines=lines_of(body[0], body[-1]) if body else 0,
        nesting=max((nesting_of(statement) for statement in body), default=0),
        public=public,
        documented=documentation is not None,
        annotated=is_annotated(function),
    )


def nesting_of(node: ast.AST, depth: int = 0) -> int:
    """Return how deep blocks stand in each other; an elif stands beside its if, not inside."""
    if isinstance(node, SCOPES):
        return depth
    inner = depth + 1 if isinstance(node, BLOCKS) else depth
    deepest = inner
    for child in ast.iter_child_nodes(node):
        deepest = max(deepest, nesting_of(child, depth if is_elif(node, child) else inner))
    return deepest


def is_elif(node: ast.AST, child: ast.AST) -> bool:
    """Tell whether the child is the elif of an if."""
    return isinstance(node, ast.If) and isinstance(child, ast.If) and node.orelse == [child]


def is_annotated(function: Function) -> bool:
    """Tell whether every argument, self and cls apart, and the result have a type."""
    wanted = function.args
    positional = [*wanted.posonlyargs, *wanted.args]
    if positional and positional[0].arg in {"self", "cls"}:
        positional = positional[1:]
    stars = [argument for argument in (wanted.vararg, wanted.kwarg) if argument is not None]
    arguments = [*positional, *wanted.kwonlyargs, *stars]
    typed = all(argument.annotation is not None for argument in arguments)
    return typed and function.returns is not None


def percentile_90(values: Sequence[int]) -> int:
    """Return the smallest value that nine of ten do not exceed."""
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def spread(values: Sequence[int]) -> str:
    """Return median, 90th percentile and maximum."""
    return f"{statistics.median(values):.0f}/{percentile_90(values)}/{max(values)}"


def share(facts: Sequence[bool]) -> str:
    """Return how many of the facts hold, in percent, never rounded up to all of them."""
    return f"{math.floor(100 * sum(facts) / len(facts))} %" if facts else "-"


def print_table(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main([Path(argument).resolve() for argument in sys.argv[1:]]))
