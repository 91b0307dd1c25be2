"""What skgru takes of scikit-learn's private modules: all of it is there, and in one place."""

import ast
import importlib
from pathlib import Path

import pytest

import skgru

PACKAGE = Path(skgru.__file__).parent
FILES = [path for path in PACKAGE.rglob("*.py") if "_sklearn" not in path.parts]


def private_imports(path):
    """Lines that import a private name, or of a private module, of scikit-learn."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sklearn":
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            if any(name.startswith("_") for name in names):
                yield node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_are_imported_in_one_place(path):
    assert not list(private_imports(path))


@pytest.mark.parametrize("module", ["skgru._sklearn", "skgru._sklearn.scorers"])
def test_all_names_are_there_and_have_types(module):
    module = importlib.import_module(module)
    for name in module.__all__:
        assert getattr(module, name) is not None
    stub = ast.parse(Path(module.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    typed = {node.name for node in stub.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    assert set(module.__all__) == typed


def test_the_private_imports_are_found():
    assert list(private_imports(PACKAGE / "_sklearn" / "__init__.py"))
