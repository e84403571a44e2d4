"""Files that somebody made to do harm: refused in one line, nothing is run.

The trap is a Python file that leaves a trace; the tools meet it in every file
that may name a search space, and in classes that a `.keras` file names.
"""

import json
import shutil
import zipfile

import pytest

from refusals import TINY_RUN, refuses, tree

DATA = ("--dataset=digits", "--augmentation=shift")


@pytest.fixture
def trap(tmp_path):
    """(name of a space whose file leaves a trace, the trace)."""
    trace = tmp_path / "trace"
    path = tmp_path / "evil.py"
    path.write_text(
        f"open({str(trace)!r}, 'w').write('run')\n"
        "SPACES = {'make': None}\nPRESETS = {'a': 1}\n"
    )
    return f"{path}:make", trace


def architecture(space, **further):
    return json.dumps(
        {
            "schema": 1,
            "search_space": space,
            "space_arguments": {},
            "choices": {},
            **further,
        }
    )


def test_an_architecture_file_runs_nothing(run_tool, tmp_path, trap):
    space, trace = trap
    path = tmp_path / "best.json"
    path.write_text(architecture(space))
    refuses(run_tool("describe", f"--architecture={path}"), space, "trust it")
    # Another file than the one that is trusted, beside it.
    other = tmp_path / "mine.py"
    other.write_text("SPACES = {'mine': lambda: 1}\nPRESETS = {'a': 1}\n")
    result = run_tool(
        "describe", f"--architecture={path}", f"--search_space={other}:mine"
    )
    assert result.returncode == 2
    assert not trace.exists()
    # It is a trap: named by a flag, its code is run.
    assert run_tool("describe", f"--search_space={space}").returncode == 2
    assert trace.exists()


def test_files_of_a_work_dir_run_nothing(run_tool, tmp_path, trap):
    import numpy as np

    space, trace = trap
    work = tmp_path / "work"
    checkpoints = work / "supernet/default/checkpoints"
    checkpoints.mkdir(parents=True)
    description = {
        "step": 1,
        "kind": "supernet",
        "search_space": space,
        "space_arguments": {},
    }
    np.savez(
        checkpoints / "step-00000001.npz",
        **{"description.json": np.array(json.dumps(description))},
    )
    (checkpoints.parent / "train_supernet.flags").write_text(
        f"--search_space={space}\n--cost={space}\n--constraint={space}<=3\n"
    )
    for folder in ("search/default", "subnet/default"):
        (work / folder).mkdir(parents=True)
    best = work / "search/default/best.json"
    best.write_text(architecture(space, accuracy=0.5, costs={}))
    (work / "search/default/search.flags").write_text(f"--objective={space}\n")
    subnet = work / "subnet/default"
    (subnet / "subnet.keras").write_bytes(b"")
    (subnet / "architecture.json").write_text(architecture(space))
    for tool, *further in (
        ("search", *DATA, "--name=new"),
        ("correlate", *DATA, "--table=t.csv", "--accuracy_column=a"),
        ("train_subnet", *TINY_RUN[1:], "--name=new"),
        ("evaluate", *DATA),
        ("export", *DATA),
    ):
        result = run_tool(tool, f"--work_dir={work}", *further)
        refuses(result, space, "trust it")
    report = run_tool("report", f"--work_dir={work}")
    assert report.returncode == 0, report.stderr
    assert not trace.exists()
    run_tool("report", f"--work_dir={work}", f"--search_space={space}")
    assert trace.exists()


def test_code_that_a_flagfile_names_is_announced(run_tool, tmp_path, trap):
    space, _ = trap
    path = tmp_path / "a.flags"
    path.write_text(f"--search_space={space}\n")
    result = run_tool("describe", f"--flagfile={path}")
    assert f"The code of {space!r} is run: --search_space" in result.stderr
    typed = run_tool("describe", f"--search_space={space}")
    assert "is run: " not in typed.stderr


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A work_dir with a network that nobody trained."""
    from spos_tf.networks.subnet import build_subnet
    from spos_tf.spaces import build_blueprint

    blueprint = build_blueprint("shufflenet_blocks", preset="demo")
    work = tmp_path_factory.mktemp("network")
    folder = work / "subnet" / "default"
    folder.mkdir(parents=True)
    encoding = [0] * 5
    build_subnet(blueprint, encoding).save(folder / "subnet.keras")
    (folder / "architecture.json").write_text(
        blueprint.architecture(encoding).to_json()
    )
    return work


def changed(source, target, change):
    """A copy of a `.keras` file with another description or entries."""
    with zipfile.ZipFile(source) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    change(entries)
    with zipfile.ZipFile(target, "w") as file:
        for name, content in entries.items():
            file.writestr(name, content)


def layer(module, name, registered, config):
    """Makes the last layer of a description another one."""

    def change(entries):
        description = json.loads(entries["config.json"])
        last = description["config"]["layers"][-1]
        last |= {
            "module": module,
            "class_name": name,
            "registered_name": registered,
            "config": {**last["config"], **config},
        }
        entries["config.json"] = json.dumps(description).encode()

    return change


def elsewhere(entries):
    """Weights that lie in another file."""
    import io

    import h5py

    content = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        file["more"] = h5py.ExternalLink("/etc/passwd", "x")
    entries["model.weights.h5"] = content.getvalue()


def endless(entries):
    """Weights of 10^12 numbers, none of which is there."""
    import io

    import h5py

    content = io.BytesIO(entries["model.weights.h5"])
    with h5py.File(content, "r+") as file:
        file.create_dataset("more", (10**12,), "f4", chunks=(1024,))
    entries["model.weights.h5"] = content.getvalue()


LAMBDA = {
    "function": {
        "class_name": "__lambda__",
        "config": {"code": "", "defaults": None, "closure": None},
    }
}
HOSTILE = {
    "lambda": (layer("keras.layers", "Lambda", None, LAMBDA), "Lambda"),
    "function": (
        layer("builtins", "function", "function", {"config": "eval"}),
        "builtins.function",
    ),
    "module": (layer("os", "system", None, {}), "os.system"),
    "another class of Keras": (
        layer("keras.layers", "TFSMLayer", None, {"filepath": "/x"}),
        "TFSMLayer",
    ),
    "vocabulary": (
        layer("keras.layers", "StringLookup", None, {"vocabulary": "/x"}),
        "StringLookup",
    ),
    "registered": (
        layer("keras.layers", "Dense", "other>Dense", {}),
        "keras.layers.Dense",
    ),
    "size": (
        layer("keras.layers", "Dense", None, {"units": 10**9}),
        "1,000,000,000",
    ),
    "further entry": (
        lambda entries: entries.update({"../../evil.py": b"x"}),
        "nothing else",
    ),
    "weights elsewhere": (elsewhere, "lie elsewhere"),
    "weights without end": (endless, "more than its bytes"),
}


@pytest.mark.parametrize(("change", "said"), HOSTILE.values(), ids=HOSTILE)
def test_a_network_file_that_is_hostile(run_tool, network, change, said):
    whole = network / "subnet/default/subnet.keras"
    folder = network / "subnet" / "hostile"
    folder.mkdir(exist_ok=True)
    (folder / "architecture.json").write_bytes(
        (network / "subnet/default/architecture.json").read_bytes()
    )
    changed(whole, folder / "subnet.keras", change)
    before = tree(network)
    result = run_tool(
        "evaluate", *DATA, f"--work_dir={network}", "--name=hostile"
    )
    refuses(result, "subnet.keras", said)
    assert tree(network) == before


def test_the_network_file_as_it_is_saved(run_tool, network):
    result = run_tool("evaluate", *DATA, f"--work_dir={network}")
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="module")
def supernet(tmp_path_factory, run_tool):
    """A work_dir with a supernet that has done two steps."""
    work = tmp_path_factory.mktemp("supernet")
    result = run_tool(
        "train_supernet",
        *TINY_RUN,
        "--holdout_per_class=5",
        "--sampler=uniform",
        f"--work_dir={work}",
    )
    assert result.returncode == 0, result.stderr
    return work


LINKS = [
    (tool, link.format(stage))
    for tool, stage in (("train_supernet", "supernet"), ("search", "search"))
    for link in ("{}", "{}/new", "{}/new/run.json")
] + [("search", "search/new/record.jsonl"), ("search", "search/scores.jsonl")]


@pytest.mark.parametrize(("tool", "link"), LINKS)
def test_links_out_of_the_work_dir_are_not_written_through(
    run_tool, supernet, tmp_path, tool, link
):
    outside = tmp_path / "outside"
    outside.mkdir()
    work = tmp_path / "work"
    if tool == "search":
        # So that there is something to search, and the link is what is wrong.
        shutil.copytree(supernet, work)
    path = work / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(outside / "x" if "." in link else outside)
    before = tree(tmp_path)
    arguments = TINY_RUN if tool == "train_supernet" else DATA
    result = run_tool(
        tool,
        *arguments,
        "--holdout_per_class=5",
        "--name=new",
        f"--work_dir={work}",
    )
    refuses(result, str(path), "is a link")
    assert tree(tmp_path) == before


def test_a_link_within_the_work_dir(run_tool, supernet, tmp_path):
    """It is nobody's business."""
    work = shutil.copytree(supernet, tmp_path / "work")
    (work / "there").mkdir()
    (work / "search").symlink_to(work / "there")
    result = run_tool(
        "search",
        *DATA,
        "--population=2",
        "--generations=1",
        "--top_k=1",
        "--recalibration_images=20",
        f"--work_dir={work}",
    )
    assert result.returncode == 0, result.stderr
    assert (work / "there/default/best.json").is_file()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("--preset=demo\n".encode("utf-16"), "a.flags"),
        (b"--preset=d\xe9mo\n", "a.flags"),
        (b"--preset=no\n", "(With --flagfile="),
        (b"--search_space=\n", "--search_space is empty"),
        (b"--preset=\x1b[31m\n", "\\x1b[31m"),
        (b"--preset=" + b"x" * 9000 + b"\n", "xxx ... xxx"),
        (b"preset\n", "takes flags only"),
        (b"--space_arguments=" + b"[" * 9000 + b"\n", "JSON object"),
    ],
    ids=range(8),
)
def test_a_flagfile_that_is_spoilt(run_tool, tmp_path, content, said):
    path = tmp_path / "a.flags"
    path.write_bytes(content)
    result = run_tool("describe", f"--flagfile={path}")
    refuses(result, said, "a.flags")
    assert len(result.stderr) < 2500
    assert "\x1b" not in result.stderr


def test_a_network_of_another_shape_than_its_architecture(
    run_tool, network, tmp_path
):
    from spos_tf.spaces import build_blueprint

    path = tmp_path / "other.json"
    other = build_blueprint("shufflenet_blocks", preset="demo", num_classes=7)
    path.write_text(other.architecture([0] * 5).to_json())
    result = run_tool(
        "evaluate", *DATA, f"--work_dir={network}", f"--architecture={path}"
    )
    refuses(result, "gives 7 logits", "subnet.keras", "[8, 8, 3, 10]")
