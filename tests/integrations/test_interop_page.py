"""The code of docs/interop.rst."""

import doctest
from pathlib import Path

import pytest
from helpers import run_python

for package in ("onnx", "onnxruntime", "skl2onnx", "torch"):
    pytest.importorskip(package)

PAGE = Path(__file__).parents[2] / "docs" / "interop.rst"


def test_page_runs_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # it saves a model
    failed, attempted = doctest.testfile(str(PAGE), module_relative=False)
    assert attempted > 40
    assert failed == 0


def test_optional_packages_are_imported_lazily():
    code = (
        "import sys, skgru; assert 'skgru.interop' not in sys.modules\n"
        "import skgru.interop\n"
        "print(*{'onnx', 'onnxruntime', 'skl2onnx', 'torch'} & {*sys.modules})"
    )
    result = run_python(code)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr
