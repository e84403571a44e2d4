"""Nothing that a file says is run: what the source shows of it.

Each rule is a function from one module to the places that break it, as in
test_layering.py. What the tools do with hostile files is in
tests/tools/test_hostile_files.py.
"""

import ast
import functools
from collections.abc import Iterator

import pytest

from source_tree import Module, modules

# The one reader of pickles, which are not ours, and the one place that runs a
# file's code; see docs/safety.md.
READS_PICKLES = "spos_tf/analysis/plain_pickle.py"
RUNS_CODE = "spos_tf/user_module.py"
READS_JSON = "spos_tf/strict_json.py"
MEASURES = "spos_tf/export/measure_parts.py"
READS_KERAS = "spos_tf/networks/keras_file.py"

Broken = Iterator[tuple[int, str]]


@functools.cache
def _calls(module: Module) -> list[tuple[str, ast.Call]]:
    """Every call, by the dotted text of what is called."""
    return [
        (ast.unparse(node.func), node)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
    ]


@functools.cache
def _tree() -> list[Module]:
    return modules("spos_tf", "tools", "benchmarks", "qa")


def _keyword(call: ast.Call, name: str) -> object:
    for one in call.keywords:
        if one.arg == name and isinstance(one.value, ast.Constant):
            return one.value.value
    return None


def unpickles(module: Module) -> Broken:
    """No module that pickles is imported."""
    if module.path == READS_PICKLES:
        return
    odd = {"pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    for line, name in module.imports():
        if odd & set(name.split(".")):
            yield line, f"imports {name}"


def loads_arrays_with_pickle(module: Module) -> Broken:
    """NumPy's files are read without pickle, and it is said."""
    for name, call in _calls(module):
        is_load = name in ("np.load", "numpy.load", "np.lib.npyio.NpzFile")
        if is_load and _keyword(call, "allow_pickle") is not False:
            yield call.lineno, ast.unparse(call)
        if name.endswith("read_array") and not is_load:
            yield call.lineno, ast.unparse(call)


def loads_networks_unsafely(module: Module) -> Broken:
    """`.keras` files are read in safe mode, where they are looked into."""
    for name, call in _calls(module):
        last = name.rpartition(".")[2]
        if last == "load_model" and (
            module.path != READS_KERAS
            or _keyword(call, "safe_mode") is not True
        ):
            yield call.lineno, ast.unparse(call)
        if last == "enable_unsafe_deserialization":
            yield call.lineno, name


def loads_yaml_unsafely(module: Module) -> Broken:
    """YAML is read by the safe loader, or one that is made of it."""
    safe = {"yaml.SafeLoader", "yaml.CSafeLoader"}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ClassDef):
            bases = {ast.unparse(base) for base in node.bases}
            if bases and bases <= safe:
                safe.add(node.name)
    for name, call in _calls(module):
        if name in ("yaml.load", "yaml.load_all"):
            loader = [*call.args[1:], *(k.value for k in call.keywords)]
            if len(loader) != 1 or ast.unparse(loader[0]) not in safe:
                yield call.lineno, ast.unparse(call)
        elif name.startswith("yaml.") and name.endswith("load"):
            yield from [(call.lineno, name)] * (name != "yaml.safe_load")


def runs_code(module: Module) -> Broken:
    """Only `user_module` runs code that is not the program's own."""
    odd = {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
    ends = ("spec_from_file_location", "module_from_spec", ".exec_module")
    for name, call in _calls(module):
        if module.path == RUNS_CODE and name.endswith(ends):
            continue
        if name in odd or name.endswith(ends) or name.startswith("runpy."):
            yield call.lineno, name
        if _keyword(call, "shell") not in (None, False):
            yield call.lineno, f"{name} with a shell"


def reads_json_leniently(module: Module) -> Broken:
    """JSON of files and flags is read by `parse_json`."""
    # What measures on a device runs there without this package.
    if module.path in (READS_JSON, MEASURES) or module.path.startswith(
        ("benchmarks/", "qa/")
    ):
        return
    for name, call in _calls(module):
        if name in ("json.load", "json.loads") and not (
            # A copy in JSON's own types.
            ast.unparse(call.args[0]).startswith("json.dumps(")
        ):
            yield call.lineno, ast.unparse(call)


RULES = (
    unpickles,
    loads_arrays_with_pickle,
    loads_networks_unsafely,
    loads_yaml_unsafely,
    runs_code,
    reads_json_leniently,
)
# The oracle unpickles what the fuzz program itself wrote, and spoilt; a worker
# what the process of its search sent, which Ray would unpickle otherwise.
EXEMPT = {
    (unpickles, "qa/fuzz_pickles.py"),
    (unpickles, "spos_tf/evaluation/ray_worker.py"),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps(rule):
    broken = [
        f"{module.path}:{line}: {what}"
        for module in _tree()
        if (rule, module.path) not in EXEMPT
        for line, what in rule(module)
    ]
    assert not broken, f"{rule.__doc__}\n" + "\n".join(broken)


SNIPPETS = [
    (unpickles, "import pickle"),
    (unpickles, "from joblib import load"),
    (loads_arrays_with_pickle, "np.load(path)"),
    (loads_arrays_with_pickle, "np.load(path, allow_pickle=True)"),
    (loads_arrays_with_pickle, "np.lib.format.read_array(file)"),
    (loads_networks_unsafely, "keras.saving.load_model(p, safe_mode=True)"),
    (loads_networks_unsafely, "keras.config.enable_unsafe_deserialization()"),
    (loads_yaml_unsafely, "yaml.load(text, yaml.Loader)"),
    (loads_yaml_unsafely, "yaml.load(text)"),
    (loads_yaml_unsafely, "yaml.unsafe_load(text)"),
    (
        loads_yaml_unsafely,
        "class A(yaml.Loader): pass\nyaml.load(text, Loader=A)",
    ),
    (runs_code, "eval(text)"),
    (runs_code, "os.system(text)"),
    (runs_code, "subprocess.run(text, shell=True)"),
    (runs_code, "spec.loader.exec_module(module)"),
    (runs_code, "runpy.run_path(path)"),
    (reads_json_leniently, "json.loads(text)"),
]


@pytest.mark.parametrize(
    ("rule", "source"),
    SNIPPETS,
    ids=lambda value: getattr(value, "__name__", None),
)
def test_rule_can_fail(rule, source):
    assert list(rule(Module("spos_tf/a.py", source)))


def test_every_rule_has_a_snippet():
    assert {rule for rule, _ in SNIPPETS} == set(RULES)


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (loads_arrays_with_pickle, "a.py", "np.load(p, allow_pickle=False)"),
        (
            loads_networks_unsafely,
            READS_KERAS,
            "keras.saving.load_model(p, safe_mode=True)",
        ),
        (
            loads_yaml_unsafely,
            "a.py",
            "class A(yaml.SafeLoader): pass\nyaml.load(text, A)",
        ),
        (reads_json_leniently, "a.py", "json.loads(json.dumps(value))"),
    ],
)
def test_rule_allows(rule, path, source):
    assert not list(rule(Module(path, source)))
