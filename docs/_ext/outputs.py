"""What the directives for outputs of benchmarks share: finding the output, a tab per machine."""

from html import escape
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective


def folded(command: str, lines: list[str]) -> nodes.raw:
    """Return the command, with its output folded."""
    return nodes.raw(
        "",
        f"<details class='bench-output'><summary><code>{escape(command)}</code></summary>"
        f"<pre tabindex='0'>{escape(chr(10).join(lines))}</pre></details>",
        format="html",
    )


class Output(SphinxDirective):
    """A directive whose argument is a command, and whose content is what the command printed."""

    has_content = True
    required_arguments = 1
    final_argument_whitespace = True
    option_spec = dict.fromkeys(("output", "machine"), directives.unchanged)

    def run(self) -> list[nodes.Node]:
        """Return the chart, or a tab with a chart for each machine that printed the output."""
        if "output" not in self.options:
            return self.chart(list(self.content))
        name = f"{self.options['output']}.txt"
        paths = sorted((Path(self.env.srcdir) / "_outputs").glob(f"*/{name}"), reverse=True)
        if "machine" in self.options:
            paths = [path for path in paths if path.parent.name == self.options["machine"]]
        for path in paths:
            self.env.note_dependency(path)
        if not paths:
            raise self.error(f"no folder of docs/_outputs has {name}")
        if len(paths) == 1:
            return self.chart(paths[0].read_text(encoding="utf-8").splitlines())
        return self.parse_text_to_nodes("\n".join(self._tabs([path.parent.name for path in paths])))

    def chart(self, lines: list[str]) -> list[nodes.Node]:
        """Return what shows these lines."""
        raise NotImplementedError

    def _tabs(self, machines: list[str]) -> list[str]:
        """Return a tab-set with this directive once per machine."""
        lines = [".. tab-set::", ""]
        for machine in machines:
            lines += [f"   .. tab-item:: {machine}", f"      :sync: {machine}", ""]
            lines += [f"      .. {self.name}:: {self.arguments[0]}"]
            options = self.options | {"machine": machine}
            lines += [f"         :{option}: {value or ''}" for option, value in options.items()]
            lines += [""]
        return lines
