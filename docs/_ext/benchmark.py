"""Draw the output of a benchmark: a bar per number, its range as a line, the output folded below.

.. code-block:: rst

    .. benchmark:: python benchmarks/train.py
       :only: torch; jax

       M   9.828 ms   torch 3.89 (3.13-5.01)   jax 2.08 (1.84-2.28)

The content is what the command printed, unchanged, so that a chart cannot differ from its numbers.
`:output: train` reads it from `train.txt` in the folders of `docs/_outputs`, which are named after
machines: a chart that two machines have printed has a tab for each. Outputs of another form than
ratios need a `:pattern:`, a regular expression with the groups `name` and `value`, and, if there
are any, `group`, `low` and `high`; `:unit:` is written behind the numbers. `:folded:` is for
outputs whose picture is a plot or a table.

Bars are HTML: they take the colours of the theme, and can be read at any width.
"""

import re
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from outputs import Output, folded
from sphinx.application import Sphinx

NUMBER = r"(\d+\.\d+)"
RATIO = re.compile(
    rf"((?:1 )?[A-Za-z_][\w,+/ ]*?)\s+{NUMBER}(?: x skgru)? \({NUMBER}(?:-| to ){NUMBER}\)"
)
NAMES = {"torch": "PyTorch", "jax": "JAX", "onednn": "oneDNN", "onnx": "onnxruntime"}


class Bar(NamedTuple):
    """One number as it was printed: the median of `name`, and its range over the rounds."""

    group: str
    name: str
    value: str
    low: str
    high: str


def ratios(line: str) -> Iterator[Bar]:
    """Yield the ratios of one line of output; its first word says to which size they belong."""
    group = re.split(r"\s{2,}", line.strip())[0]
    for before, *numbers in RATIO.findall(line):
        name = re.split(r"\s{2,}", before)[-1]
        if name == "s":  # "torch, packed   1.93 s   11.06 x skgru (9.91 to 14.58)"
            group, name = "", group
        yield Bar("" if group == name else group, name, *numbers)


def matches(pattern: str, line: str) -> Iterator[Bar]:
    """Yield the numbers that a pattern finds; their group is the first word of the line, if any."""
    first_word = line.split()[:1]
    for match in re.finditer(pattern, line):
        found = (
            dict.fromkeys(Bar._fields, "") | {"group": "".join(first_word)} | match.groupdict("")
        )
        yield Bar(**{field: text.strip() for field, text in found.items()})


def draw(bars: list[Bar], unit: str) -> str:
    """Return the chart as HTML; the longest range fills the width. Ratios have a line at 1."""
    longest = max(float(bar.high or bar.value) for bar in bars)
    rows, group = [], None

    def share(number: float) -> str:
        return f"{100 * number / longest:.1f}%"

    for bar in bars:
        if bar.group != group:
            group = bar.group
            rows.append(f'<div class="bench-group">{escape(group)}</div>')
        marks = f'<span class="bench-bar" style="width:{share(float(bar.value))}"></span>'
        text = f"{bar.value}&thinsp;{escape(unit)}"
        if bar.low:
            low, high = float(bar.low), float(bar.high)
            marks += (
                f'<span class="bench-range" style="left:{share(low)};width:{share(high - low)}">'
                "</span>"
            )
            text += f" <small>({bar.low}–{bar.high})</small>"
        if unit == "×":
            marks += f'<span class="bench-one" style="left:{share(1)}"></span>'
        rows.append(
            f'<div class="bench-row"><span class="bench-name">{escape(bar.name)}</span>'
            f'<span class="bench-track">{marks}</span>'
            f'<span class="bench-value">{text}</span></div>'
        )
    return f'<div class="bench">{"".join(rows)}</div>'


class Benchmark(Output):
    """The directive: `only` and `sizes` choose what is drawn, `labels` renames names and sizes."""

    option_spec = (
        Output.option_spec
        | dict.fromkeys(("only", "sizes", "labels", "pattern", "unit"), directives.unchanged)
        | {"folded": directives.flag}
    )

    def chart(self, lines: list[str]) -> list[nodes.Node]:
        """Return the chart, and the command with its output, folded."""
        output = folded(self.arguments[0], lines)
        if "folded" in self.options:
            return [output]
        pattern = self.options.get("pattern")
        bars = [
            bar for line in lines for bar in (matches(pattern, line) if pattern else ratios(line))
        ]
        for option, field in (("only", "name"), ("sizes", "group")):
            if option in self.options:
                names = [name.strip() for name in self.options[option].split(";")]
                bars = [bar for bar in bars if getattr(bar, field) in names]
        if not bars:
            raise self.error("no number in the output: expected a ratio as torch 3.89 (3.13-5.01)")
        labels = NAMES | dict(
            label.strip().split("=") for label in self.options.get("labels", "").split(";") if label
        )
        bars = [
            bar._replace(
                group=labels.get(bar.group, bar.group), name=labels.get(bar.name, bar.name)
            )
            for bar in bars
        ]
        return [nodes.raw("", draw(bars, self.options.get("unit", "×")), format="html"), output]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("benchmark", Benchmark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
