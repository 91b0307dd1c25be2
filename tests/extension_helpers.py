"""Recipes of docs/extending.rst, applied to copies of the package."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent, indent
from typing import NamedTuple

from helpers import DOCS
from process_helpers import run_forked

import skgru

ROOT = DOCS.parent
PAGE = DOCS / "extending.rst"
BLOCK = re.compile(
    r"^\.\. code-block:: (?P<language>\w+)\n(?: +:caption: (?P<caption>.+)\n)?\n"
    r"(?P<code>(?:    .*\n|\n)+)",
    re.MULTILINE,
)


class Block(NamedTuple):
    """A code block; one with a caption is a change of the files that it names, at a place."""

    language: str
    caption: str
    code: str

    @property
    def paths(self):
        return self.caption.partition(", ")[0].split(" and ")

    @property
    def place(self):
        return self.caption.partition(", ")[2]


class Recipe(NamedTuple):
    """What the page says under a title."""

    changes: list[Block]
    uses: list[Block]

    @property
    def package(self):
        """The changes of the package itself."""
        return [change for change in self.changes if not change.paths[0].startswith("tests/")]

    @property
    def tests(self):
        return [change for change in self.changes if change.paths[0].startswith("tests/")]


def sections():
    text = PAGE.read_text(encoding="utf-8")
    titles = list(re.finditer(r"^(.+)\n-+\n", text, re.MULTILINE))
    stops = [title.start() for title in titles[1:]] + [len(text)]
    return {title[1]: text[title.end() : stop] for title, stop in zip(titles, stops, strict=True)}


def recipe(title):
    blocks = [
        Block(match["language"], match["caption"] or "", dedent(match["code"]).strip("\n") + "\n")
        for match in BLOCK.finditer(sections()[title])
    ]
    return Recipe(
        [block for block in blocks if block.caption],
        [block for block in blocks if not block.caption],
    )


def copy_package(to):
    """The installed package, with its compiled kernels."""
    ignored = shutil.ignore_patterns("__pycache__", "data")
    shutil.copytree(Path(skgru.__file__).parent, to / "skgru", ignore=ignored)


def copy_source(to):
    """What is needed to build the kernels."""
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, to)
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "data")
    shutil.copytree(ROOT / "skgru", to / "skgru", ignore=ignored)


def apply(changes, root):
    """Make changes in a copy; return the files that were changed, and those that are new."""
    before = contents(root)
    for change in changes:
        for path in change.paths:
            file = root / path
            old = "" if change.place == "a new file" else file.read_text(encoding="utf-8")
            assert change.place != "a new file" or not file.exists(), path
            file.write_text(changed(old, change), encoding="utf-8")
    after = contents(root)
    return (
        {path for path in before if after[path] != before[path]},
        {path for path in after if path not in before},
    )


def contents(root):
    return {
        str(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in root.rglob("*")
        if path.suffix in (".py", ".pyx", ".pxd", ".pxi", ".h")
    }


def changed(text, change):
    """The text with the block at its place."""
    code, place = change.code, change.place
    if place == "a new file":
        return code
    if place == "at the end":
        return text + code
    if match := re.fullmatch(r"at the end of (class \w+)", place):
        start = text.index(f"\n{match[1]}")
        stop = text.index("\n\n\n", start) + 1
        return text[:stop] + "\n" + indent(code, "    ") + text[stop:]
    if match := re.fullmatch(r"in (\w+)", place):  # a dict or a tuple, whose end has its own line
        start = re.search(rf"^{match[1]}\b.* = [({{\[]$", text, re.MULTILINE).end()
        stop = re.compile(r"^[)}\]]", re.MULTILINE).search(text, start).start()
        return text[:stop] + indent(code, "    ") + text[stop:]
    if match := re.fullmatch(r"above (.+)", place):
        line = re.search(rf"^( *){re.escape(match[1])}", text, re.MULTILINE)
        after = "\n\n" if re.match(r"(@\w+\n)?(class|def) ", code) else ""
        return text[: line.start()] + indent(code, line[1]) + after + text[line.start() :]
    raise ValueError(f"no place {place!r}")


# on a platform that is unknown there are the portable kernels alone, and those asked for
BUILD = """
import runpy, sys, sysconfig
sysconfig.get_platform = lambda: {platform!r}
sys.argv = ["setup.py", "build_ext", "--inplace"]
runpy.run_path("setup.py", run_name="__main__")
"""


def build(root, platform="unknown"):
    result = subprocess.run(
        [sys.executable, "-c", BUILD.format(platform=platform)],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]


def run_in_copy(root, code, **environment):
    """Run code that may import what is in tests/, with the package of a copy; return its output."""
    path = os.pathsep.join([str(root), str(ROOT / "tests")])
    quiet = "import warnings; warnings.simplefilter('ignore')\n"
    result = run_forked(quiet + code, PYTHONPATH=path, **environment)
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout.split()


def use(root, title, data, checks, **environment):
    """Run what the page shows under a title, on X and y of `extension_checks`, and checks of it."""
    (block,) = (block for block in recipe(title).uses if block.language == "python")
    code = f"""
import skgru, sys
assert skgru.__file__.startswith({str(root)!r}), skgru.__file__
from extension_checks import *
X, y = {data}()
{block.code}
{dedent(checks)}
"""
    return run_in_copy(root, code, **environment)


def installed():
    """What `check_interop` can compare with here."""
    there = {
        "onnx": find_spec("onnx") and find_spec("onnxruntime"),
        "torch": find_spec("torch"),
        "c": shutil.which("gcc"),
    }
    return {name for name, found in there.items() if found}
