"""Run code in a process of its own, with the skgru that is being tested."""

import os
import subprocess
import sys
from pathlib import Path

import skgru


def run_python(code, **environment):
    """Result of the code; without the environment variables that are given as None."""
    # -P: a source tree in the working directory may lack the compiled modules
    path = str(Path(skgru.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
