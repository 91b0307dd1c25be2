"""What setup.py builds."""

import os
import subprocess
import sys

import pytest
from extension_helpers import ROOT

pytest.importorskip("Cython")
pytestmark = pytest.mark.skipif(
    not (ROOT / "skgru" / "kernels" / "kernels.pyx").exists(), reason="needs the source"
)


def variants(listed, code="print([isa.name for isa in instruction_sets()])"):
    """Run code that calls setup.py's `instruction_sets`, with this value of SKGRU_VARIANTS."""
    load = "import runpy\ninstruction_sets = runpy.run_path('setup.py')['instruction_sets']\n"
    environment = {**os.environ, "SKGRU_VARIANTS": listed}
    return subprocess.run(
        [sys.executable, "-c", load + code],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip


def test_all_instruction_sets_are_built_unless_some_are_named():
    assert variants("portable").stdout == "['portable']\n"
    assert variants(" portable,").stdout == "['portable']\n"
    every = variants("").stdout
    assert every == variants("  ").stdout
    assert "'portable'" in every


def test_unknown_instruction_sets_are_refused():
    refused = variants("portable,vax")
    assert refused.returncode != 0
    assert "SKGRU_VARIANTS names vax" in refused.stderr
    assert "portable" in refused.stderr


X86_64 = ["portable", "x86-64-v2", "x86-64-v3", "x86-64-v4"]


PLATFORMS = {
    **{name: X86_64 for name in ("linux-x86_64", "macosx-12.0-x86_64", "win-amd64")},
    **{name: ["portable", "neon"] for name in ("linux-aarch64", "macosx-12.0-arm64")},
    **{name: ["portable"] for name in ("win-arm64", "win32", "linux-riscv64")},
}


@pytest.fixture(scope="module")
def by_platform():
    """Names of instruction sets by platform; one process for all, as it imports setuptools."""
    code = f"""
import sysconfig
for platform in {list(PLATFORMS)}:
    sysconfig.get_platform = lambda: platform
    print(platform, *(isa.name for isa in instruction_sets()))
"""
    rows = map(str.split, variants("", code).stdout.splitlines())
    return {platform: names for platform, *names in rows}


@pytest.mark.parametrize(("platform", "names"), PLATFORMS.items())
def test_instruction_sets_of_platforms(by_platform, platform, names):
    assert by_platform[platform] == names
