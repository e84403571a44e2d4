"""Reads the project's Python files without importing them."""

import ast
import dataclasses
import functools
import pathlib
from collections.abc import Iterator

REPO = pathlib.Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Module:
    """One Python file: where it is, how it is imported, what it says.

    Attributes:
        path: Path from the root of the repository, with forward slashes.
        source: The text of the file.
    """

    path: str
    source: str

    @property
    def name(self) -> str:
        """The dotted name; a file of tools/ is a top-level module."""
        parts = self.path.removesuffix(".py").split("/")
        if parts[0] == "tools":
            parts = parts[1:]
        if parts[-1] == "__init__":
            parts = parts[:-1]
        return ".".join(parts)

    @functools.cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.source, self.path)

    @property
    def is_program(self) -> bool:
        """Whether the file does something when it is run."""
        return any(
            isinstance(node, ast.If)
            and isinstance(node.test, ast.Compare)
            and isinstance(node.test.left, ast.Name)
            and node.test.left.id == "__name__"
            for node in self.tree.body
        )

    def imports(self) -> Iterator[tuple[int, str]]:
        """Every import at any depth, as (line, full dotted name).

        `from a.b import c` gives `a.b.c`, whatever `c` is. Relative imports
        are resolved.
        """
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node.lineno, alias.name
            elif isinstance(node, ast.ImportFrom):
                start = self._start(node)
                for alias in node.names:
                    yield node.lineno, f"{start}.{alias.name}"

    def _start(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.name.split(".")
        above = node.level - self.path.endswith("/__init__.py")
        package = package[: len(package) - above]
        return ".".join([*package, node.module] if node.module else package)


def modules(*folders: str) -> list[Module]:
    """The Python files under some folders of the repository, sorted."""
    return [
        Module(path.relative_to(REPO).as_posix(), path.read_text("utf-8"))
        for folder in folders
        for path in sorted((REPO / folder).rglob("*.py"))
    ]
