"""BUILD names every file once and depends on exactly what is imported.

The subset of Starlark that BUILD uses is also Python, so it is run here, over
the real tree, with stand-ins for Bazel's functions. Buildifier checks the
format where it is installed.
"""

import ast
import os
import pathlib
import shutil
import subprocess

import pytest

from source_tree import REPO, Module, modules

RULES = ("py_binary", "py_library", "py_test")
# What a rule of ours may say; a misspelt argument is an error in Bazel.
ARGUMENTS = {"name", "srcs", "deps", "data", "main", "imports", "args", "size"}


class Build:
    """The targets of a BUILD file.

    Attributes:
        targets: `{name: {"rule": rule, argument: value}}`.
    """

    def __init__(self, text: str, root: pathlib.Path = REPO):
        self.root = root
        self.targets: dict[str, dict] = {}
        names = {
            "__builtins__": {},
            "glob": self._glob,
            "load": self._load,
            "package": lambda default_visibility: None,
        }
        self._names = names
        exec(compile(ast.parse(text, "BUILD"), "BUILD", "exec"), names)

    def _load(self, file: str, *rules: str) -> None:
        if file != "@rules_python//python:defs.bzl":
            raise ValueError(f"BUILD loads {file}")
        for rule in rules:
            if rule not in RULES:
                raise ValueError(f"rules_python has no {rule}")
            self._names[rule] = self._rule(rule)

    def _rule(self, rule: str):
        def declare(**arguments):
            unknown = set(arguments) - ARGUMENTS
            if unknown:
                raise ValueError(f"{rule} has no {sorted(unknown)}")
            name = arguments["name"]
            if name in self.targets:
                raise ValueError(f"two targets are called {name}")
            for file in arguments["srcs"] + arguments.get("data", []):
                if not (self.root / file).is_file():
                    raise ValueError(f"{name} lists {file}, which is not there")
            if rule != "py_library":
                main = arguments.get("main", f"{name}.py")
                if main not in arguments["srcs"]:
                    raise ValueError(f"{name} does not list its main {main}")
            self.targets[name] = {"rule": rule, **arguments}

        return declare

    def _glob(self, patterns, exclude=(), allow_empty=False):
        found = set()
        for pattern in patterns:
            files = self._files(pattern)
            if not files and not allow_empty:
                raise ValueError(f"glob({pattern!r}) finds no file")
            found |= files
        for pattern in exclude:
            found -= self._files(pattern)
        return sorted(found)

    def _files(self, pattern: str) -> set[str]:
        return {
            path.relative_to(self.root).as_posix()
            for path in self.root.glob(pattern)
            if path.is_file()
        }

    def owners(self, file: str) -> list[str]:
        """Names of the targets that list a file among their sources."""
        return [n for n, t in self.targets.items() if file in t["srcs"]]

    def missing_labels(self) -> list[str]:
        """Dependencies that name no target, as `target -> label`."""
        return [
            f"{name} -> {label}"
            for name, target in self.targets.items()
            for label in target.get("deps", [])
            if not label.startswith(":") or label[1:] not in self.targets
        ]

    def measured_deps(self, name: str, tree: list[Module]) -> set[str]:
        """Labels of the targets whose modules a target's sources import."""
        by_name = {module.name: module.path for module in tree}
        by_path = {module.path: module for module in tree}
        deps = set()
        for file in self.targets[name]["srcs"]:
            for _, imported in by_path[file].imports():
                path = _longest_known(imported, by_name)
                # The empty package above all others is no dependency.
                if path is not None and path != "spos_tf/__init__.py":
                    deps |= {f":{owner}" for owner in self.owners(path)}
        return deps - {f":{name}"}


def _longest_known(name: str, known: dict[str, str]) -> str | None:
    while name:
        if name in known:
            return known[name]
        name = name.rpartition(".")[0]
    return None


@pytest.fixture(scope="module")
def tree() -> list[Module]:
    return modules("spos_tf", "tools")


@pytest.fixture(scope="module")
def build() -> Build:
    return Build((REPO / "BUILD").read_text("utf-8"))


def test_every_file_is_in_one_target(build, tree):
    owners = {module.path: build.owners(module.path) for module in tree}
    assert {path: o for path, o in owners.items() if len(o) != 1} == {}


def test_every_label_resolves(build):
    assert build.missing_labels() == []


def test_deps_are_the_imports(build, tree):
    tree = [*tree, *modules("tests")]
    wrong = []
    for name, target in build.targets.items():
        if target["rule"] == "py_test":
            continue
        measured = build.measured_deps(name, tree)
        if measured != set(target.get("deps", [])):
            wrong.append(f"{name}: should be deps = {sorted(measured)}")
    assert not wrong, "\n".join(wrong)


def test_every_package_has_a_library(build, tree):
    packages = {m.path.split("/")[1] for m in tree if m.path.count("/") > 1}
    assert packages
    for package in packages:
        target = build.targets[package]
        assert target["rule"] == "py_library"
        assert {f.split("/")[1] for f in target["srcs"]} == {package}


def test_every_program_has_a_binary(build, tree):
    programs = {
        module.path.removesuffix(".py")
        for module in tree
        if module.path.startswith("tools/") and module.is_program
    }
    binaries = {n for n, t in build.targets.items() if t["rule"] == "py_binary"}
    assert programs == binaries


def test_every_test_file_has_a_target(build):
    files = {
        p.relative_to(REPO).as_posix().removesuffix(".py")
        for p in (REPO / "tests").rglob("test_*.py")
    }
    tests = {n for n, t in build.targets.items() if t["rule"] == "py_test"}
    assert files == tests


LOAD = 'load("@rules_python//python:defs.bzl", "py_library")\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("py_library(name = 'a', srcs = [])", "py_library"),
        (LOAD + "py_library(name = 'a', srcs = ['no.py'])", "not there"),
        (LOAD + "py_library(name = 'a', srcs = [], dep = [])", "dep"),
        (LOAD + "py_library(name = 'a', srcs = glob(['x/*.py']))", "no file"),
        (LOAD + "py_library(name = 'a', srcs = [])\n" * 2, "two targets"),
        ('load("@rules_cc//:defs.bzl", "cc_library")', "rules_cc"),
    ],
)
def test_a_wrong_build_file_is_refused(text, message):
    with pytest.raises((ValueError, NameError), match=message):
        Build(text)


def test_a_wrong_label_or_dependency_is_found(tmp_path):
    (tmp_path / "a.py").write_text("import b\n")
    (tmp_path / "b.py").write_text("")
    build = Build(
        LOAD
        + "py_library(name = 'a', srcs = ['a.py'], deps = [':c'])\n"
        + "py_library(name = 'b', srcs = ['b.py'])\n",
        tmp_path,
    )
    tree = [Module("a.py", "import b\n"), Module("b.py", "")]
    assert build.missing_labels() == ["a -> :c"]
    assert build.measured_deps("a", tree) == {":b"}


def test_buildifier_agrees(repo_dir):
    buildifier = os.environ.get("BUILDIFIER") or shutil.which("buildifier")
    if not buildifier:
        pytest.skip(
            "no buildifier on PATH or in $BUILDIFIER (to get one: npm install "
            "--prefix DIR @bazel/buildifier, then "
            "BUILDIFIER=DIR/node_modules/.bin/buildifier)"
        )
    result = subprocess.run(
        [buildifier, "-mode=check", "-lint=warn", "BUILD"],
        cwd=repo_dir,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
