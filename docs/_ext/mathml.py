"""Write formulas as MathML: no script, no font, nothing to load from elsewhere."""

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a sentence."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_block(self: HTML5Translator, node: nodes.math_block) -> None:
    """Align the rows of a formula at their ``&``, as Sphinx's own renderers do."""
    latex = node.astext().strip()
    if r"\\" in latex:
        latex = rf"\begin{{split}}{latex}\end{{split}}"
    # tabindex: a formula that is wider than a phone is scrolled by the keyboard, too
    self.body.append(
        f'<div class="math-block" tabindex="0">{convert(latex, display="block")}</div>'
    )
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
