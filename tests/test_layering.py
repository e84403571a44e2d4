"""Who may import whom, and the other rules a reader of the source can check.

Each rule is a function from one module to the places where it breaks the
rule. `test_the_tree_keeps` runs it over the repository, `test_rule_can_fail`
over a snippet that breaks it.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from source_tree import Module, modules

# Imports go down only, and never sideways.
FLOORS = (
    ("space", "quantization", "data"),
    ("ops",),
    ("blocks",),
    ("networks",),
    ("spaces", "cost"),
    ("evaluation", "analysis", "lowbit"),
    ("training", "search", "export", "report"),
    ("jobs",),
    ("cli",),
)
FLOOR = {name: i for i, names in enumerate(FLOORS) for name in names}

TFMOT_ADAPTER = "spos_tf/quantization/tfmot_adapter.py"
# It is copied to other devices and run there: a program with flags of its own.
DEVICE_PROGRAM = "spos_tf/export/measure_parts.py"
TENSOR_LIBRARIES = {
    "keras",
    "tensorflow",
    "tensorflow_datasets",
    "tensorflow_model_optimization",
    "tf_keras",
}
ROOMS_WITHOUT_A_SUBJECT = {"utils", "common", "base", "helpers", "misc"}
# Modules beside the packages, open to all of them.
GROUND = (
    "",
    "errors",
    "atomic_write",
    "keras_settings",
    "options",
    "paths",
    "plain_arrays",
    "progress",
    "randomness",
    "run_lock",
    "silence",
    "stop_signal",
    "strict_json",
    "user_module",
)

Broken = Iterator[tuple[int, str]]


def imports_upwards_or_sideways(module: Module) -> Broken:
    """A package imports only packages on lower floors, and the ground."""
    if not module.path.startswith("spos_tf/"):
        return
    own = _package(module.name)
    # What `python -m spos_tf` runs stands above all floors.
    if own == "__main__":
        return
    if own not in FLOOR and own not in GROUND:
        yield 1, f"the package {own!r} is on no floor"
        return
    programs = {m.name for m in modules("tools")} | {"tools"}
    for line, name in module.imports():
        # Names of the package itself are imported when they are first used.
        if not own and line in _only_for_types(module):
            continue
        if name.split(".")[0] in programs:
            yield line, f"the library imports {name} of tools/"
        if not name.startswith("spos_tf."):
            continue
        other = _package(name)
        if other in (own, *GROUND):
            continue
        if FLOOR.get(other, len(FLOORS)) >= FLOOR.get(own, 0):
            yield line, f"{own or 'spos_tf'} imports {name}"


def _only_for_types(module: Module) -> set[int]:
    """Lines of imports that are never run."""
    return {
        node.lineno
        for block in module.tree.body
        if isinstance(block, ast.If)
        and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
    }


def _package(name: str) -> str:
    """`spos_tf.space.choice` -> `space`; the package itself -> ``."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


def imports_tfmot(module: Module) -> Broken:
    """tfmot switches TensorFlow to Keras 2: one file imports it, late."""
    if module.path == TFMOT_ADAPTER:
        late = {
            line
            for node in ast.walk(module.tree)
            if isinstance(node, ast.FunctionDef)
            for line in range(node.lineno, (node.end_lineno or 0) + 1)
        }
    else:
        late = set()
    for line, name in module.imports():
        top = name.split(".")[0]
        if top == "tensorflow_model_optimization" and line not in late:
            yield line, f"imports {name}"


def writes_tf_keras(module: Module) -> Broken:
    """`tf.keras` may be Keras 2; `import keras` is always Keras 3."""
    tensorflow = {"tf", "tensorflow"}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            tensorflow |= {
                alias.asname or alias.name
                for alias in node.names
                if alias.name == "tensorflow"
            }
    if module.path == TFMOT_ADAPTER:
        # It settles what tf.keras is, before tfmot would.
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr == "keras":
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in tensorflow:
                yield node.lineno, ast.unparse(node)
    for line, name in module.imports():
        parts = name.split(".")
        if parts[0] == "tensorflow" and "keras" in parts:
            yield line, f"imports {name}"
        if parts[0] == "tf_keras":
            yield line, f"imports {name}"


def reads_flags(module: Module) -> Broken:
    """The library takes arguments; only the command line reads flags."""
    with_flags = ("spos_tf/cli/", "benchmarks/", "qa/", DEVICE_PROGRAM)
    if module.path.startswith(with_flags):
        return
    for line, name in module.imports():
        if name.startswith(("absl.flags", "absl.app", "argparse")):
            yield line, f"imports {name}"
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute):
            text = ast.unparse(node)
            if text in ("absl.flags", "absl.app", "sys.argv"):
                yield node.lineno, f"reads {text}"


def speaks_of_flags(module: Module) -> Broken:
    """The library names parameters in backticks; the command line adds --."""
    elsewhere = (
        "spos_tf/cli/",
        "spos_tf/report/",
        "spos_tf/options/",
        DEVICE_PROGRAM,
    )
    if not module.path.startswith("spos_tf/") or module.path.startswith(
        elsewhere
    ):
        return
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Raise):
            continue
        for part in ast.walk(node):
            text = part.value if isinstance(part, ast.Constant) else None
            # What follows a quote is a part of another program's command.
            if isinstance(text, str) and re.search(r"(?<!')--[a-z]", text):
                yield node.lineno, f"says {text!r}"


def imports_tensor_libraries(module: Module) -> Broken:
    """Choices and search algorithms are plain Python and NumPy."""
    if not module.path.startswith(("spos_tf/space/", "spos_tf/search/")):
        return
    for line, name in module.imports():
        if name.split(".")[0] in TENSOR_LIBRARIES:
            yield line, f"imports {name}"


def has_a_name_without_subject(module: Module) -> Broken:
    """Every file says by its name what it is about."""
    parts = set(module.path.removesuffix(".py").split("/"))
    for part in sorted(parts & ROOMS_WITHOUT_A_SUBJECT):
        yield 1, f"is called {part!r}"


RULES = (
    imports_upwards_or_sideways,
    imports_tfmot,
    writes_tf_keras,
    reads_flags,
    speaks_of_flags,
    imports_tensor_libraries,
    has_a_name_without_subject,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps(rule):
    broken = [
        f"{module.path}:{line}: {what}"
        for module in modules("spos_tf", "tools", "benchmarks", "qa")
        for line, what in rule(module)
    ]
    assert not broken, f"{rule.__doc__}\n" + "\n".join(broken)


SNIPPETS = [
    # Upwards, sideways, relatively, late, and into tools.
    (imports_upwards_or_sideways, "space/a.py", "import spos_tf.ops.protocol"),
    (imports_upwards_or_sideways, "cost/a.py", "from spos_tf import spaces"),
    (imports_upwards_or_sideways, "search/a.py", "from ..training import loop"),
    (
        imports_upwards_or_sideways,
        "data/a.py",
        "def f():\n  import spos_tf.cost",
    ),
    (imports_upwards_or_sideways, "errors.py", "import spos_tf.space"),
    (imports_upwards_or_sideways, "__init__.py", "import spos_tf.space"),
    (imports_upwards_or_sideways, "ops/a.py", "from tools import program"),
    (imports_upwards_or_sideways, "extra/a.py", ""),
    (imports_tfmot, "ops/a.py", "import tensorflow_model_optimization as t"),
    (
        imports_tfmot,
        "quantization/tfmot_adapter.py",
        "import tensorflow_model_optimization",
    ),
    (writes_tf_keras, "ops/a.py", "import tensorflow as t\nt.keras.Model"),
    (writes_tf_keras, "ops/a.py", "tf.compat.v1.keras.backend"),
    (writes_tf_keras, "ops/a.py", "from tensorflow import keras"),
    (writes_tf_keras, "ops/a.py", "import tensorflow.keras.layers"),
    (writes_tf_keras, "ops/a.py", "import tf_keras"),
    (reads_flags, "cost/a.py", "from absl import flags"),
    (reads_flags, "cost/a.py", "import absl.flags as f"),
    (reads_flags, "cost/a.py", "import absl\nabsl.flags.FLAGS"),
    (reads_flags, "cost/a.py", "import sys\nprint(sys.argv)"),
    (speaks_of_flags, "cost/a.py", "raise ValueError('give --steps')"),
    (imports_tensor_libraries, "space/a.py", "import tensorflow as tf"),
    (imports_tensor_libraries, "search/evolution.py", "from keras import ops"),
    (imports_tensor_libraries, "search/a.py", "import keras.ops"),
    (has_a_name_without_subject, "ops/utils.py", ""),
    (has_a_name_without_subject, "helpers/a.py", ""),
]


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    SNIPPETS,
    ids=lambda value: getattr(value, "__name__", None),
)
def test_rule_can_fail(rule, path, source):
    assert list(rule(Module(f"spos_tf/{path}", source)))


def test_the_program_for_devices_imports_nothing_of_ours():
    (module,) = (
        one for one in modules("spos_tf/export") if one.path == DEVICE_PROGRAM
    )
    tops = {name.split(".")[0] for _, name in module.imports()}
    assert tops - set(sys.stdlib_module_names) == {"numpy"}


def test_every_rule_has_a_snippet():
    assert {rule for rule, _, _ in SNIPPETS} == set(RULES)


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (imports_upwards_or_sideways, "search/a.py", "import spos_tf.cost"),
        (imports_upwards_or_sideways, "search/a.py", "from . import record"),
        (
            imports_upwards_or_sideways,
            "space/a.py",
            "from spos_tf import errors",
        ),
        (
            imports_tfmot,
            "quantization/tfmot_adapter.py",
            "def f():\n    import tensorflow_model_optimization",
        ),
        (writes_tf_keras, "ops/a.py", "import keras\nkeras.Model"),
        (reads_flags, "cost/a.py", "from absl import logging"),
        (imports_tensor_libraries, "evaluation/evaluator.py", "import keras"),
    ],
)
def test_rule_allows(rule, path, source):
    assert not list(rule(Module(f"spos_tf/{path}", source)))


def test_choices_and_search_load_without_tensorflow():
    """The same at run time, so that no detour loads it either."""
    names = [
        module.name for module in modules("spos_tf/space", "spos_tf/search")
    ]
    program = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    loaded = {TENSOR_LIBRARIES!r} & set(sys.modules)\n"
        "    assert not loaded, f'{name} loads {sorted(loaded)}'\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
