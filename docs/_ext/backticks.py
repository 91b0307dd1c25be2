"""Make a link of every name in single backticks.

The default role looks a name up as, in this order: an object of skgru by its full name; a
parameter, attribute or method of the object whose docstring it is in; one of the estimators, or of
their `fit`; the only class or function of skgru with this last part; the only object or parameter;
a class or function of the shipped inventories. A name with several meanings stays plain. A name
with none is a nitpick warning. Anything but a name, such as an expression, is code.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from inventories import names_in
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxRole
from sphinx.util.nodes import make_refnode

EXTERNAL = names_in(Path(__file__).parents[1] / "_inventories")
ESTIMATORS = ("skgru.GRUClassifier", "skgru.GRURegressor")
FITS = ("skgru.GRUClassifier.fit", "skgru.GRUClassifier.partial_fit")


class Backticks(SphinxRole):
    """The default role."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return a reference for a name, and code for anything else."""
        code = nodes.literal(self.rawtext, self.text, classes=["xref", "py", "py-obj"])
        if not re.fullmatch(r"[A-Za-z_][\w.]*(\(\))?", self.text):
            return [nodes.literal(self.rawtext, self.text)], []
        link = addnodes.pending_xref(
            self.rawtext,
            code,
            refdomain="py",
            reftype="obj",
            reftarget=self.text.removesuffix("()"),
            refdoc=self.env.docname,
        )
        self.set_source_info(link)
        return [link], []


def names_of(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Return the page and the anchor of each parameter and attribute, by its full name."""
    if not hasattr(env, "skgru_names"):
        env.skgru_names = {}
    return env.skgru_names


def entries(content: nodes.Element) -> Iterator[nodes.term]:
    """Yield the terms of the parameters, attributes and results of one docstring."""
    for fields in content.children:
        if isinstance(fields, nodes.field_list):
            for field in fields:
                if field[0].astext() in ("Parameters", "Other Parameters", "Attributes"):
                    yield from field[1].findall(nodes.term)


def add_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """Give each parameter an anchor, `#skgru.GRUClassifier.alpha`."""
    taken = {
        name for signature in doctree.findall(addnodes.desc_signature) for name in signature["ids"]
    }
    for description in doctree.findall(addnodes.desc):
        if description["domain"] != "py" or not description[0]["ids"]:
            continue
        owner = description[0]["ids"][0]
        for term in entries(description[-1]):
            for link in list(term.findall(addnodes.pending_xref)):  # numpydoc's, to a property
                link.replace_self(nodes.strong(text=link.astext()))
            name = next(iter(term.findall(nodes.strong)), term).astext()
            for part in name.split(", "):
                anchor = f"{owner}.{part}"
                if anchor in taken:  # a property, or a parameter that is an attribute, too
                    continue
                taken.add(anchor)
                term["ids"].append(anchor)
                names_of(app.env)[anchor] = (app.env.docname, anchor)


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Drop the anchors of a page that is read again."""
    gone = [name for name, (page, _) in names_of(env).items() if page == docname]
    for name in gone:
        del names_of(env)[name]


def owners(node: nodes.Node) -> Iterator[str]:
    """Yield the full names of the objects around a node, the nearest first."""
    while node is not None:
        if isinstance(node, addnodes.desc) and node[0]["ids"]:
            yield node[0]["ids"][0]
        node = node.parent


def resolve(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, code: nodes.Element
) -> nodes.Element | None:
    """Find a name that Sphinx did not find."""
    if node["reftype"] != "obj":
        return None
    target = node["reftarget"]
    places, objects = dict(names_of(env)), env.get_domain("py").objects
    for name, entry in objects.items():
        places.setdefault(name, (entry.docname, entry.node_id))
    candidates = [f"{owner}.{target}" for owner in (*owners(node), "skgru", *ESTIMATORS, *FITS)]
    found = next((name for name in candidates if name in places), None)
    if found is None:
        ends = [name for name in [*places, *EXTERNAL] if f".{name}".endswith("." + target)]
        defined = [
            name
            for name in ends
            if name in objects and objects[name].objtype in ("class", "function")
        ]
        ends = defined if len(defined) == 1 else ends
        if len(ends) > 1:
            return code
        found = ends[0] if ends else None
    if found in places:
        page, anchor = places[found]
        return make_refnode(app.builder, node["refdoc"], page, anchor, code, found)
    if found is not None:
        node["reftarget"] = found  # for intersphinx, which comes next
    return None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_role("name", Backticks())
    app.connect("doctree-read", add_anchors, priority=100)
    app.connect("env-purge-doc", forget)
    app.connect("missing-reference", resolve, priority=100)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
