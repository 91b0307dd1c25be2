"""Print the import graph of the package: levels, cycles, and the number of lines of each file.

A module is one level above the highest module that it imports, so that imports run from high levels
to low ones. Imports inside functions are in parentheses: they run when the function is called.
Imports for type checking only are left out. The script reads the source files and imports nothing.

    python docs/import_graph.py
"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "skgru"
SOURCES = {".py", ".pyx", ".pxd", ".pxi", ".h"}


class Imports(ast.NodeVisitor):
    """Collects the modules of the package that a module imports, at the top or in functions."""

    def __init__(self, modules):
        self.modules = modules
        self.top, self.lazy = set(), set()
        self._found = self.top

    def visit_FunctionDef(self, node):
        """Collect the imports of a function as lazy."""
        outer, self._found = self._found, self.lazy
        self.generic_visit(node)
        self._found = outer

    def visit_If(self, node):
        """Skip the body of `if TYPE_CHECKING`."""
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Import(self, node):
        """Add `import skgru.module`."""
        self._found.update(alias.name for alias in node.names if alias.name in self.modules)

    def visit_ImportFrom(self, node):
        """Add `from skgru.module import name`, where the name may be a module too."""
        for alias in node.names:
            names = [f"{node.module}.{alias.name}", node.module]
            self._found.update([name for name in names if name in self.modules][:1])


def read_package():
    """Return the path of each module by name."""
    modules = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


def components(graph):
    """Return the strongly connected components, imported ones first (Tarjan 1972)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            position = stack.index(node)
            found.append(sorted(stack[position:]))
            del stack[position:]

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def n_lines(path):
    """Count the lines of a file."""
    return len(path.read_text(encoding="utf-8").splitlines())


def main():
    """Print levels, cycles and lines."""
    modules = read_package()
    top, lazy = {}, {}
    for name, path in modules.items():
        imports = Imports(modules)
        imports.visit(ast.parse(path.read_text(encoding="utf-8")))
        top[name] = imports.top - {name}
        lazy[name] = imports.lazy - imports.top - {name}

    levels, cycles = {}, []
    for component in components(top):
        outside = set().union(*(top[name] for name in component)) - set(component)
        level = 1 + max((levels[name] for name in outside), default=-1)
        levels.update(dict.fromkeys(component, level))
        if len(component) > 1:
            cycles.append(component)

    print("level  lines  module: imports (inside functions)")
    for name in sorted(modules, key=lambda name: (-levels[name], name)):
        imported = [*sorted(top[name]), *(f"({other})" for other in sorted(lazy[name]))]
        line = f"{levels[name]:5}  {n_lines(modules[name]):5}  {name}"
        print(line + (": " + ", ".join(imported) if imported else "").replace("skgru.", ""))
    print()
    print("cycles:", *(" <-> ".join(cycle) for cycle in cycles) if cycles else ["none"])

    files = {
        path: n_lines(path)
        for path in PACKAGE.rglob("*")
        if path.suffix in SOURCES and path.is_file()
    }
    longest = max(files, key=files.get)
    print(f"{len(files)} source files, {sum(files.values())} lines")
    print(f"longest: {longest.relative_to(PACKAGE.parent)}, {files[longest]} lines")
    print("compiled sources, lines:")
    for path in sorted(path for path in files if path.suffix != ".py"):
        print(f"  {files[path]:5}  {path.relative_to(PACKAGE.parent)}")


if __name__ == "__main__":
    main()
