"""Code in processes that need not import scikit-learn, which takes more than a second."""

import atexit
import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from helpers import environment_with, run_python

# Forks a process for each line, in which the code runs. skgru is not imported yet. To let the
# interpreter come to its end would take 0.3 s, as if all modules were copied.
SERVER = """
import json, os, signal, sys, traceback, warnings
import sklearn.base

for line in sys.stdin:
    job = json.loads(line)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of BLAS threads, which outlive forks
        child = os.fork()
    if not child:
        signal.alarm(120)
        for descriptor, path in enumerate(job["outputs"], start=1):
            os.dup2(os.open(path, os.O_WRONLY), descriptor)
        os.environ.clear()
        os.environ.update(job["environment"])
        sys.path[:0] = job["environment"]["PYTHONPATH"].split(os.pathsep)
        code = 0
        try:
            exec(job["code"], {"__name__": "__main__"})
        except SystemExit as end:
            code = end.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@cache
def server():
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", SERVER],
        env=environment_with(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    atexit.register(process.communicate)
    return process


def run_forked(code, **environment):
    """Run code as `run_python` does, where this is possible in a fork.

    Not for tests of what is imported, of variables that other packages read on import, and of the
    end of the interpreter.
    """
    if sys.platform != "linux":
        return run_python(code, **environment)
    with tempfile.TemporaryDirectory() as folder:
        outputs = [Path(folder) / name for name in ("stdout", "stderr")]
        for path in outputs:
            path.touch()
        job = {
            "code": code,
            "environment": environment_with(**environment),
            "outputs": list(map(str, outputs)),
        }
        print(json.dumps(job), file=server().stdin, flush=True)
        code_of_exit = int(server().stdout.readline())
        texts = [path.read_text(encoding="utf-8") for path in outputs]
    return subprocess.CompletedProcess(code, code_of_exit, *texts)
