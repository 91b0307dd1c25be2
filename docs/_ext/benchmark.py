"""Draw the output of a benchmark: a bar per ratio, its range as a line, the output folded below.

.. code-block:: rst

    .. benchmark:: python benchmarks/train.py
       :only: torch jax

       M   9.828 ms   torch 3.89 (3.13-5.01)   jax 2.08 (1.84-2.28)

The content is what the command printed, unchanged, so that a chart cannot differ from its numbers;
`:output: train` reads it from `docs/_outputs/train.txt`, for a chart that stands on two pages.
Bars are HTML: they take the colours of the theme, and can be read at any width.
"""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

NUMBER = r"(\d+\.\d+)"
RATIO = re.compile(
    rf"((?:1 )?[A-Za-z_][\w,+ ]*?)\s+{NUMBER}(?: x skgru)? \({NUMBER}(?:-| to ){NUMBER}\)"
)


class Bar(NamedTuple):
    """One ratio: how many times as long `name` took, and its range over the rounds."""

    group: str
    name: str
    median: float
    low: float
    high: float


def read(line: str) -> Iterator[Bar]:
    """Yield the ratios of one line of output; its first word says to which size they belong."""
    group = re.split(r"\s{2,}", line.strip())[0]
    for before, *numbers in RATIO.findall(line):
        name = re.split(r"\s{2,}", before)[-1]
        if name == "s":  # "torch, packed   1.93 s   11.06 x skgru (9.91 to 14.58)"
            group, name = "", group
        yield Bar(group, name, *map(float, numbers))


def draw(bars: list[Bar]) -> str:
    """Return the chart as HTML; the longest range fills the width, and a line stands at 1."""
    longest = max(bar.high for bar in bars)
    rows, group = [], None
    for bar in bars:
        if bar.group != group:
            group = bar.group
            rows.append(f'<div class="bench-group">{escape(group)}</div>')
        left, width, low, high, one = (
            f"{100 * value / longest:.1f}%"
            for value in (0, bar.median, bar.low, bar.high - bar.low, 1)
        )
        rows.append(
            f'<div class="bench-row"><span class="bench-name">{escape(bar.name)}</span>'
            f'<span class="bench-track"><span class="bench-bar" style="left:{left};width:{width}">'
            f'</span><span class="bench-range" style="left:{low};width:{high}"></span>'
            f'<span class="bench-one" style="left:{one}"></span></span>'
            f'<span class="bench-value">{bar.median:g}&thinsp;× '
            f"<small>({bar.low:g}–{bar.high:g})</small></span></div>"
        )
    return f'<div class="bench">{"".join(rows)}</div>'


class Benchmark(SphinxDirective):
    """The directive: `only` and `sizes` choose what is drawn, `labels` renames sizes."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = dict.fromkeys(("only", "sizes", "labels", "output"), directives.unchanged)

    def run(self) -> list[nodes.Node]:
        """Return the chart, and the command with its output, folded."""
        lines = list(self.content)
        if "output" in self.options:
            path = Path(self.env.srcdir) / "_outputs" / f"{self.options['output']}.txt"
            self.env.note_dependency(path)
            lines = path.read_text(encoding="utf-8").splitlines()
        bars = [bar for line in lines for bar in read(line)]
        for option, field in (("only", "name"), ("sizes", "group")):
            if option in self.options:
                names = [name.strip() for name in self.options[option].split(";")]
                bars = [bar for bar in bars if getattr(bar, field) in names]
        labels = dict(
            label.strip().split("=") for label in self.options.get("labels", "").split(";") if label
        )
        bars = [bar._replace(group=labels.get(bar.group, bar.group)) for bar in bars]
        if not bars:
            raise self.error(
                "no ratio in the output: expected, for example, torch 3.89 (3.13-5.01)"
            )
        output = "\n".join(lines)
        folded = (
            f"<details class='bench-output'><summary><code>{escape(self.arguments[0])}</code>"
            f"</summary><pre tabindex='0'>{escape(output)}</pre></details>"
        )
        return [nodes.raw("", draw(bars) + folded, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("benchmark", Benchmark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
