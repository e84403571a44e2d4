"""What setup.cfg and the constraints declare is what the code imports."""

import configparser
import pathlib
import re
import sys

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from source_tree import REPO, modules

# Where the name to import is not the name to install.
DISTRIBUTIONS = {
    "yaml": "PyYAML",
    "absl": "absl-py",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
}
# Files outside the library are imported by their bare names.
OURS = {"spos_tf"} | {
    pathlib.PurePath(module.path).stem
    for module in modules("tools", "tests", "benchmarks", "qa")
}


def declared() -> dict[str, dict[str, Requirement]]:
    """Requirements of setup.cfg: `{extra or "": {name: requirement}}`."""
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", "utf-8")
    lists = {"": config["options"]["install_requires"]}
    lists.update(config["options.extras_require"])
    return {
        extra: {
            canonicalize_name(requirement.name): requirement
            for requirement in (
                Requirement(line)
                for line in lines.splitlines()
                if line.strip() and not line.strip().startswith("#")
            )
        }
        for extra, lines in lists.items()
    }


def pins(file: str) -> dict[str, str]:
    """Versions of a file of constraints by name."""
    lines = (REPO / file).read_text("utf-8").splitlines()
    return {
        canonicalize_name(name): version
        for name, version in (
            line.split("==") for line in lines if line and line[0] != "#"
        )
    }


def imported(*folders: str) -> set[str]:
    """Distributions that the files under some folders import."""
    tops = {
        name.split(".")[0]
        for module in modules(*folders)
        for _, name in module.imports()
    }
    return {
        canonicalize_name(DISTRIBUTIONS.get(top, top))
        for top in tops - OURS - set(sys.stdlib_module_names)
    }


def test_imports_are_declared():
    requirements = declared()
    needed = imported("spos_tf", "tools")
    assert needed <= set(requirements[""]) | set(requirements["ray"])
    needed = imported("tests", "benchmarks", "qa")
    # pytest itself requires packaging. What the package is compared with has
    # an environment of its own (`make torch-env`).
    allowed = {"packaging", "torch"}
    assert needed <= allowed.union(*requirements.values())


def test_torch_is_for_the_peer_alone():
    users = [
        module.path
        for module in modules("spos_tf", "tools", "tests", "benchmarks", "qa")
        if any(name.split(".")[0] == "torch" for _, name in module.imports())
    ]
    assert users == ["benchmarks/peer_torch.py"]


@pytest.mark.parametrize("extra", ["", "ray", "test"])
def test_pins_lie_in_the_ranges(extra):
    pinned = pins("constraints.txt")
    for name, requirement in declared()[extra].items():
        assert pinned[name] in requirement.specifier, requirement


@pytest.mark.parametrize("extra", ["", "ray", "test"])
def test_oldest_pins_are_the_floors(extra):
    """So that a range claims nothing that `make test-oldest` does not run."""
    pinned = pins("constraints-oldest.txt")
    for name, requirement in declared()[extra].items():
        floors = [
            Version(one.version)
            for one in requirement.specifier
            if one.operator == ">="
        ]
        assert floors == [Version(pinned[name])], requirement


def test_python_versions_agree():
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", "utf-8")
    allowed = SpecifierSet(config["options"]["python_requires"])
    named = re.findall(
        r"Python :: (3\.\d+)$", config["metadata"]["classifiers"], re.M
    )
    assert named == ["3.11", "3.12", "3.13"]
    assert all(version in allowed for version in named)
    assert "3.10" not in allowed


def test_every_folder_of_the_library_is_a_package():
    folders = {(REPO / module.path).parent for module in modules("spos_tf")}
    assert [f for f in folders if not (f / "__init__.py").is_file()] == []


def test_other_files_of_the_library_are_package_data():
    """`packages = find:` would leave any other file out of a wheel."""
    config = configparser.ConfigParser()
    config.read(REPO / "setup.cfg", "utf-8")
    packaged = {
        path.relative_to(REPO).as_posix()
        for package, patterns in config["options.package_data"].items()
        for pattern in patterns.split()
        for path in (REPO / package.replace(".", "/")).glob(pattern)
    }
    others = {
        path.relative_to(REPO).as_posix()
        for path in (REPO / "spos_tf").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert others == packaged != set()
