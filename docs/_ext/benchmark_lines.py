"""Draw the output of a benchmark as lines on logarithmic axes, the output folded below.

.. code-block:: rst

    .. benchmark-lines:: python benchmarks/scaling.py
       :x: size
       :y: ms per step

       batch     ms a step
               8     1.529
              16     2.143

A line of words begins a curve, which has the name of its first word. The first two numbers of each
line of numbers are x and y of a point. The picture is SVG and takes the colours of the theme.
"""

import itertools
import math
from html import escape
from typing import NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from outputs import Output, folded
from sphinx.application import Sphinx

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 96, 12, 46
DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 4")


class Curve(NamedTuple):
    """A curve and its points."""

    name: str
    points: list[tuple[float, float]]


def curves_of(lines: list[str]) -> list[Curve]:
    """Return the curves that the output has."""
    curves: list[Curve] = []
    for line in lines:
        words = line.split()
        try:
            x, y = map(float, words[:2])
        except ValueError:
            curves.append(Curve(words[0], []))
        else:
            curves[-1].points.append((x, y))
    return [curve for curve in curves if curve.points]


class Axis:
    """A logarithmic axis from `start` to `stop` of the picture, with ticks at powers of ten."""

    def __init__(self, values: list[float], start: float, stop: float):
        lowest = 10.0 ** math.floor(math.log10(min(values)))
        self.low, self.high = math.log(lowest), math.log(max(values))
        self.start, self.stop = start, stop
        n_ticks = math.floor(math.log10(max(values) / lowest)) + 1
        self.ticks = [lowest * 10**power for power in range(n_ticks)]

    def at(self, value: float) -> float:
        """Return where a value stands."""
        share = (math.log(value) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.stop - self.start), 1)


def draw(curves: list[Curve], x_label: str, y_label: str) -> str:
    """Return the chart as SVG."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    xs, ys = zip(*(point for curve in curves for point in curve.points), strict=True)
    x_axis, y_axis = Axis(xs, LEFT, right), Axis(ys, bottom, TOP)
    parts = [f'<path class="axes" d="M{LEFT} {TOP} V{bottom} H{right}"/>']
    for value in y_axis.ticks:
        y = y_axis.at(value)
        parts.append(f'<path class="grid" d="M{LEFT} {y} H{right}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{value:g}</text>')
    for value in x_axis.ticks:
        x = x_axis.at(value)
        parts.append(f'<path class="grid" d="M{x} {TOP} V{bottom}"/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{value:g}</text>')
    for curve, dash in zip(curves, itertools.cycle(DASHES)):
        points = [(x_axis.at(x), y_axis.at(y)) for x, y in curve.points]
        line = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline points="{line}" stroke-dasharray="{dash}"/>')
        x, y = points[-1]
        parts.append(f'<text x="{x + 6}" y="{y + 4}">{escape(curve.name)}</text>')
    parts += [
        f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 8}" text-anchor="middle">'
        f"{escape(x_label)}</text>",
        f'<text transform="translate(16 {(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_label)}</text>",
    ]
    label = f"{y_label} by {x_label}: " + ", ".join(curve.name for curve in curves)
    return (
        f'<svg class="bench-lines" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


class BenchmarkLines(Output):
    """The directive: `x` and `y` name the axes."""

    option_spec = Output.option_spec | dict.fromkeys(("x", "y"), directives.unchanged_required)

    def chart(self, lines: list[str]) -> list[nodes.Node]:
        """Return the chart, and the command with its output, folded."""
        svg = draw(curves_of(lines), self.options["x"], self.options["y"])
        return [nodes.raw("", svg, format="html"), folded(self.arguments[0], lines)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("benchmark-lines", BenchmarkLines)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
