"""Run the code of a page of the docs."""

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"


def run_snippets(page: str, title: str) -> dict[str, Any]:
    """Names that are defined after the code blocks under a title."""
    text = (DOCS / page).read_text()
    start = re.search(rf"^{re.escape(title)}\n-+\n", text, re.MULTILINE).end()
    following = re.search(r"^.+\n-+\n", text[start:], re.MULTILINE)
    section = text[start : start + following.start()] if following else text[start:]
    blocks = re.findall(r"^\.\. code-block:: python\n\n((?:    .*\n|\n)+)", section, re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile("\n".join(map(dedent, blocks)), f"{page}: {title}", "exec"), names)
    return names
