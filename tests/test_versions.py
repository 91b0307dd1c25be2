"""show_versions."""

from importlib.util import find_spec

import numpy as np
from helpers import DOCS
from process_helpers import run_forked

import skgru
from skgru.kernels import instruction_sets


def test_show_versions(isa):
    out = run_forked("import skgru; skgru.show_versions()", SKGRU_ISA=isa)
    lines = dict(line.split(": ", 1) for line in out.stdout.splitlines())
    assert lines["instruction set"] == f"{isa} (of {', '.join(instruction_sets())})"
    assert lines["numpy"] == np.__version__
    assert lines["threads"] == "1 with n_jobs=None"
    # optional packages are listed if they are installed
    optional = {name: find_spec(name) for name in ("matplotlib", "onnx", "pandas", "torch")}
    assert {name for name in optional if name in lines} == {n for n, s in optional.items() if s}


def test_the_files_of_a_release_name_one_version():
    version = skgru.__version__.partition(".dev")[0]
    changes, citation = (
        (DOCS.parent / name).read_text(encoding="utf-8")
        for name in ("CHANGELOG.md", "CITATION.cff")
    )
    assert changes.partition("\n## ")[2].split()[0] == version
    assert f"\nversion: {version}\n" in citation
