"""Inventories of other projects' docs that ship with these, so that a build needs no network.

`docs/_inventories/NAME.txt` begins with the address of a site. Each line after it is a page
pattern followed by the names that have such a page; ``{}`` stands for the name.
"""

import zlib
from pathlib import Path

HEADER = "# Sphinx inventory version 2\n# Project: {}\n# Version: \n# The rest is zlib.\n"


def read(path: Path) -> tuple[str, dict[str, str]]:
    """Return the address of a site, and the page of each name."""
    address, *lines = path.read_text(encoding="utf-8").splitlines()
    pages = {}
    for line in lines:
        pattern, *names = line.split()
        pages |= {name: pattern.replace("{}", name) for name in names}
    return address, pages


def mapping(folder: Path, build: Path) -> dict[str, tuple[str, str]]:
    """Write the inventories that intersphinx reads and return its `intersphinx_mapping`."""
    build.mkdir(parents=True, exist_ok=True)
    result = {}
    for path in sorted(folder.glob("*.txt")):
        address, pages = read(path)
        lines = "".join(f"{name} py:class 1 {page} -\n" for name, page in pages.items())
        target = build / f"{path.stem}.inv"
        target.write_bytes(HEADER.format(path.stem).encode() + zlib.compress(lines.encode()))
        result[path.stem] = (address, str(target))
    return result


def names_in(folder: Path) -> list[str]:
    """Return the full names that the inventories hold."""
    return [name for path in folder.glob("*.txt") for name in read(path)[1]]
