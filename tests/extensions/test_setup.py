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


def variants(listed, platform=None):
    """Run setup.py's `instruction_sets` with this value of SKGRU_VARIANTS."""
    code = (
        "import sysconfig\n"
        "from runpy import run_path\n"
        f"platform = {platform!r} or sysconfig.get_platform()\n"
        "sysconfig.get_platform = lambda: platform\n"
        "print([isa.name for isa in run_path('setup.py')['instruction_sets']()])"
    )
    environment = {**os.environ, "SKGRU_VARIANTS": listed}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_all_instruction_sets_are_built_unless_some_are_named():
    assert variants("portable").stdout == "['portable']\n"
    assert variants(" portable,").stdout == "['portable']\n"
    assert variants("").stdout == variants("  ").stdout
    assert "'portable'" in variants("").stdout


def test_unknown_instruction_sets_are_refused():
    refused = variants("portable,vax")
    assert refused.returncode != 0
    assert "SKGRU_VARIANTS names vax" in refused.stderr
    assert "portable" in refused.stderr


X86_64 = ["portable", "x86-64-v2", "x86-64-v3", "x86-64-v4"]


@pytest.mark.parametrize(
    ("platform", "names"),
    [
        *(("linux-x86_64", X86_64), ("macosx-12.0-x86_64", X86_64), ("win-amd64", X86_64)),
        *(("linux-aarch64", ["portable", "neon"]), ("macosx-12.0-arm64", ["portable", "neon"])),
        *(("win-arm64", ["portable"]), ("win32", ["portable"]), ("linux-riscv64", ["portable"])),
    ],
)
def test_instruction_sets_of_platforms(platform, names):
    assert variants("", platform).stdout == f"{names}\n"
