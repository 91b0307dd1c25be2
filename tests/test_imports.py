"""Modules that skgru loads, and imports of test modules."""

import ast
from pathlib import Path

from helpers import run_python


def test_import_is_light():
    """Optional packages, and modules that sklearn.base does not load, are imported lazily."""
    code = """
import sys, sklearn.base
before = set(sys.modules)
import skgru
heavy = "matplotlib pandas onnx torch jax rich sklearn.metrics sklearn.model_selection scipy.stats "
heavy += "skgru.streaming"
print(*[m for m in heavy.split() if m in set(sys.modules) - before])
"""
    code += "print(*[m for m in sys.modules if m.startswith('skgru.kernels.float')])"
    assert run_python(code).stdout == "\n\n"


def test_test_modules_do_not_import_each_other():
    """What several test modules need is in helpers.py and the other modules of helpers."""
    paths = sorted(Path(__file__).parent.rglob("*.py"))
    assert len(paths) > 50
    imported = {(path.name, name) for path in paths for name in imported_by(path)}
    assert {(file, name) for file, name in imported if ".test_" in f".{name}"} == set()


def imported_by(path):
    """Yield dotted names of all imports of a file, within functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)
