"""The whole page: of a full work_dir, of half ones, of damaged ones."""

import doctest
import json
import os
import re
import shutil

import pytest

from made_up_work_dir import write_work_dir
from page_reader import Page
from spos_tf.report import page as page_module
from spos_tf.report.page import report_page
from spos_tf.report.work_dir import read_work_dir
from spos_tf.training.callbacks import EventWriter
from unwritten_charts import leave_unwritten

SECTIONS = {
    "summary",
    "network",
    "search",
    "choices",
    "training",
    "correlation",
    "latency",
    "export",
    "limits",
    "repeat",
}


def source(folder):
    return report_page(read_work_dir(folder))


def page(folder):
    found = Page(source(folder))
    # Every link of the contents leads somewhere, once.
    assert len(found.ids) == len(set(found.ids))
    assert {a[1:] for a in found.addresses if a[0] == "#"} <= set(found.ids)
    return found


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A full work_dir; leave it as it is."""
    folder = tmp_path_factory.mktemp("full") / "work"
    made = write_work_dir(folder)
    return folder, made


@pytest.fixture(scope="module")
def full_page(full):
    return page(full[0])


@pytest.fixture
def work_dir(full, tmp_path):
    """A copy to spoil."""
    return shutil.copytree(full[0], tmp_path / "work")


@pytest.fixture
def unwritten(monkeypatch):
    leave_unwritten(monkeypatch)


def set_options(folder, **options):
    path = folder / "run.json"
    data = json.loads(path.read_text("utf-8"))
    data["options"] |= options
    path.write_text(json.dumps(data), "utf-8")


def test_examples():
    found = doctest.testmod(page_module)
    assert found.attempted and not found.failed


def test_everything_is_shown(full, full_page):
    _, made = full
    found = full_page
    ids = set(found.ids)
    assert ids >= SECTIONS | {"network-1", "network-2"}
    assert not ids & {"missing", "unreadable"}
    for text in (
        # Summary and networks.
        "75.00 %",
        f"{100 * made.winner.accuracy:.2f} %",
        " ".join(made.winner.choices.values()),
        "search/evolution, subnet/winner, export/winner",
        "stage2.block3",
        # Searches and limits.
        "evolution: best so far",
        "random: best so far",
        "60 candidates",
        "max_macs",
        "evolution, top 50",
        "macs<=42e6",
        # Training, correlation, latency, export.
        "accuracy of fixed paths [%]",
        "0.625 (0.500 to 0.750)",
        "standard error of one score",
        "6.25 %",
        "40% (by chance 20%)",
        "3.12 to 3.5",
        "61,928",
        "ab12ab12ab12",
        "3.5e-06",
        "(deploy form)",
        "keras 3.15.1",
        # To repeat it.
        "max_macs",
        "search_name",
    ):
        assert text in found.text, text
    assert "None" not in found.text


def test_the_first_network_is_the_retrained_one(full_page):
    text = full_page.text
    assert text.index("search/evolution, subnet") < text.index("search/random")


def test_commands_are_in_the_order_of_the_pipeline(full, full_page):
    folder, _ = full
    text = full_page.text
    assert f"spos search --flagfile={folder}/search/random/search.flags" in text
    tools = re.findall(r"spos (\w+) --flagfile=", text)
    order = ["train_supernet", "search", "search", "search_limits"]
    assert tools == [*order, "train_subnet", "export", "correlate"]


def test_it_needs_nothing_else(full_page):
    found = full_page
    assert found.addresses
    for address in found.addresses:
        assert address.startswith(("#", "data:image/png;base64,"))
    assert not {"script", "link", "iframe", "object", "base"} & set(found.tags)
    assert found.handlers == []
    # The one kind of url() is a clip path of the same chart.
    linked = set(re.findall(r"url\((#?)([^)]*)\)", found.source))
    assert {start for start, _ in linked} == {"#"}
    assert {name for _, name in linked} <= set(found.ids)
    for word in ("@import", "http:", "https:", "//cdn"):
        assert word not in found.source


def test_the_same_work_dir_gives_the_same_text(full, full_page, tmp_path):
    folder, _ = full
    assert source(folder) == full_page.source
    # But for its path, which the commands and the name of a table have.
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "work")
    again = source(copy).replace(str(copy), str(folder))
    ids = r"\b[a-z][0-9a-f]{10}\b"
    assert re.sub(ids, "", again) == re.sub(ids, "", full_page.source)


def test_reading_changes_nothing(work_dir, unwritten):
    def state():
        return {
            path: (
                path.stat().st_mtime_ns,
                path.is_file() and path.read_bytes(),
            )
            for path in work_dir.rglob("*")
        }

    before = state()
    source(work_dir)
    assert state() == before


GONE = {
    "supernet": ("", "supernet/ is not there"),
    "search": ("search", "search/ is not there"),
    "subnet": ("", "subnet/ is not there"),
    "export": ("export", "export/ is not there"),
    "correlate": ("correlation", "spos correlate --work_dir="),
    "search_limits": ("limits", "spos search_limits --work_dir="),
    "search/random": ("", ""),
    "search/evolution/best.json": ("", "search/evolution is not finished"),
    "search/evolution/record.jsonl": ("", ""),
    "search/evolution/search.flags": ("", ""),
    "search/evolution/run.json": ("", ""),
    "supernet/default/run.json": ("", "supernet/default is not finished"),
    "supernet/default/events": ("", ""),
    "supernet/default/checkpoints": ("", "supernet/default is not finished"),
    "subnet/winner/metrics.json": ("", "subnet/winner is not finished"),
    "subnet/winner/architecture.json": ("", ""),
    "export/winner/manifest.json": ("", "export/winner is not finished"),
    "correlate/default/correlation.json": ("", "correlate/default is not"),
    "correlate/default/scatter.png": ("", ""),
    "search_limits/default/table.json": ("", "search_limits/default is not"),
    "latency.yaml.report.json": ("", ""),
}


@pytest.mark.parametrize(("part", "expected"), GONE.items(), ids=GONE)
def test_a_part_is_missing(work_dir, part, expected, unwritten):
    section, sentence = expected
    path = work_dir / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = page(work_dir)
    assert sentence in found.text
    assert section not in found.ids
    assert "unreadable" not in found.ids
    # The others are there; a table of latencies may be all of its section.
    gone = {section, "latency"} | ({"choices"} if part == "search" else set())
    assert SECTIONS - gone <= set(found.ids)


def test_only_a_supernet_that_is_being_trained(work_dir, unwritten):
    for path in work_dir.iterdir():
        if path.name != "supernet":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    set_options(work_dir / "supernet/default", steps=900)
    found = page(work_dir)
    assert "No network has been found yet." in found.text
    assert "step 300 of 900" in found.text
    command = f"spos search --work_dir={work_dir} --dataset=digits"
    assert command in found.text


def test_a_training_by_epochs_that_is_over(work_dir, unwritten):
    path = work_dir / "supernet/default/run.json"
    data = json.loads(path.read_text("utf-8"))
    data["options"] |= {"steps": None, "epochs": 60.0}
    path.write_text(json.dumps(data), "utf-8")
    assert "step 300 of ?" in page(work_dir).text
    data["recipe"] = {"name": "supernet/cifar", "values": {}, "steps": 300}
    path.write_text(json.dumps(data), "utf-8")
    found = page(work_dir)
    assert "step 300 of 300" in found.text
    assert "supernet/default is not finished" not in found.text


@pytest.mark.parametrize("tables", [[], ["some.yaml"], None, "some.yaml"])
def test_latency_tables_are_one_or_a_list(work_dir, tables, unwritten):
    set_options(work_dir / "search/evolution", latency_table=tables)
    found = read_work_dir(work_dir)
    assert not [line for run in found.all_runs() for line in run.problems]
    used = {one.path for one in found.latency_tables}
    assert ("some.yaml" in used) == bool(tables)


def test_a_search_that_is_at_work(work_dir, unwritten):
    folder = work_dir / "search" / "evolution"
    (folder / "best.json").unlink()
    record = folder / "record.jsonl"
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join(lines[:30]) + lines[30][:50])
    found = page(work_dir)
    assert "search/evolution is not finished" in found.text
    assert len(read_work_dir(work_dir).runs["search"][0].record) == 30
    assert "unreadable" not in found.ids


BROKEN = {
    "half JSON": ("search/evolution/best.json", b'{"accuracy": '),
    "a list": ("subnet/winner/metrics.json", b"[1]"),
    "a number": ("export/winner/manifest.json", b"5"),
    "no text": ("correlate/default/correlation.json", b"\xff\xfe\x00"),
    "no picture": ("correlate/default/scatter.png", b"<svg/>"),
    "no list": ("search_limits/default/table.json", b'{"a": 1}'),
    "no rows": ("search_limits/default/table.json", b"[1, 2]"),
    "no record": ("search/random/record.jsonl", b"hello\n\x00\n[]\n"),
    "no report": ("latency.yaml.report.json", b"{"),
    "no run": ("search/random/run.json", b'{"schema": 1, "options": '),
    "no options": (
        "search/random/run.json",
        b'{"schema": 1, "options": ["--strategy=nsga2"]}',
    ),
    "a run of tomorrow": ("search/random/run.json", b'{"schema": 2}'),
    "another space": (
        "search/random/best.json",
        b'{"schema": 1, "search_space": "of tomorrow", "choices": {}}',
    ),
    "no schema": (
        "search/random/best.json",
        b'{"search_space": "shufflenet_blocks", "choices": {"a": {}}}',
    ),
    "no space": ("search/random/best.json", b'{"choices": {"a": 1}}'),
    "odd arguments": (
        "search/random/best.json",
        b'{"schema": 1, "search_space": "shufflenet_blocks", "choices": {},'
        b'"space_arguments": {"preset": [1], "stage_widths": "x"}}',
    ),
}


@pytest.mark.parametrize(("path", "content"), BROKEN.values(), ids=BROKEN)
def test_a_file_is_damaged(work_dir, path, content, unwritten):
    (work_dir / path).write_bytes(content)
    found = page(work_dir)
    assert "unreadable" in found.ids
    place = path.rpartition("/")[0] or "latency.yaml"
    problem = found.text[found.text.index("Not readable") :]
    assert place in problem
    assert "could not be" in problem
    # A record is half of the only section of searches; the other one stays.
    assert SECTIONS - {"export", "correlation", "limits"} <= set(found.ids)


WRONG = [
    "search/evolution/best.json",
    "search/evolution/run.json",
    "subnet/winner/metrics.json",
    "subnet/winner/architecture.json",
    "export/winner/manifest.json",
    "correlate/default/correlation.json",
    "latency.yaml.report.json",
]


@pytest.mark.parametrize("path", WRONG)
def test_values_of_other_types_break_nothing(work_dir, path, unwritten):
    """Every top field, and every field of an object in it, in turn."""
    file = work_dir / path
    right = json.loads(file.read_text("utf-8"))
    others = ("text", -1, True, [None, "x"], {"a": {"b": []}})
    # Small: what is beside the file does not matter here.
    for folder in ("supernet", "search/random", "subnet/winner/events"):
        shutil.rmtree(work_dir / folder)
    record = work_dir / "search/evolution/record.jsonl"
    record.write_bytes(record.read_bytes().splitlines(keepends=True)[0])
    for number, name in enumerate(right):
        wrong = {**right, name: others[number % len(others)]}
        file.write_text(json.dumps(wrong), "utf-8")
        assert "</html>" in source(work_dir)
        if isinstance(right[name], dict):
            inner = {
                key: others[(number + index) % len(others)]
                for index, key in enumerate(right[name])
            }
            file.write_text(json.dumps({**right, name: inner}), "utf-8")
            assert "</html>" in source(work_dir)


EVIL = "<script>alert('x')</script>\"&"


def test_nothing_becomes_markup(work_dir):
    """Names, options and texts are shown as they are."""
    for stage in ("subnet", "export"):
        (work_dir / stage / "winner").rename(work_dir / stage / '<b o="1">&')
    set_options(work_dir / "supernet/default", augmentation=EVIL)
    shutil.rmtree(work_dir / "search_limits")
    search = work_dir / "search" / "random"
    for name in ("record.jsonl", "best.json"):
        text = (search / name).read_text("utf-8")
        evil = json.dumps(EVIL).strip('"')
        (search / name).write_text(text.replace("xception", evil), "utf-8")
    correlation = work_dir / "correlate/default/correlation.json"
    data = json.loads(correlation.read_text("utf-8"))
    data |= {"accuracy_column": EVIL, "supernet": "\ud800"}
    correlation.write_text(json.dumps(data), "utf-8")
    manifest = work_dir / "export" / '<b o="1">&' / "manifest.json"
    data = json.loads(manifest.read_text("utf-8"))
    data["files"] = {EVIL: {**data["files"]["tflite"], "path": EVIL}}
    manifest.write_text(json.dumps(data), "utf-8")
    found = page(work_dir)
    assert "script" not in found.tags and found.handlers == []
    assert "<script" not in found.source and "<b o=" not in found.source
    assert found.text.count(EVIL) >= 4
    assert '<b o="1">&' in found.text
    # A copied command runs the tool, not what an option says.
    assert "'--augmentation=<script>alert('\"'\"'x'\"'\"')" in found.text


def evil(value, keys):
    """Every text of parsed JSON made evil; or every key."""
    if isinstance(value, dict):
        return {
            f"{key}{EVIL}" if keys else key: evil(inner, keys)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [evil(inner, keys) for inner in value]
    return f"{value}{EVIL}" if isinstance(value, str) and not keys else value


@pytest.mark.parametrize("keys", [False, True], ids=["texts", "keys"])
def test_no_text_of_any_file_becomes_markup(work_dir, keys):
    """In tables, in SVG and its titles, in attributes, in commands."""
    for path in sorted(work_dir.rglob("*.json*")):
        lines = path.read_text("utf-8").splitlines()
        whole = path.suffix == ".json"
        texts = ["\n".join(lines)] if whole else lines
        spoilt = []
        for text in filter(None, texts):
            data = json.loads(text)
            # The fields that are read stay what they are called.
            some = data if isinstance(data, list) else [data]
            for one in some:
                for name in one:
                    one[name] = evil(one[name], keys)
            spoilt.append(json.dumps(data))
        path.write_text("\n".join([*spoilt, ""]), "utf-8")
    found = page(work_dir)
    assert "script" not in found.tags and found.handlers == []
    assert "<script" not in found.source
    assert found.text.count("<script>alert('") > 10
    for address in found.addresses:
        assert address.startswith(("#", "data:image/png;base64,"))


def test_a_space_in_a_file_that_is_gone(work_dir, unwritten):
    for path in work_dir.glob("*/*/best.json"):
        data = json.loads(path.read_text("utf-8"))
        data["search_space"] = "no/such/space.py:mine"
        path.write_text(json.dumps(data), "utf-8")
    found = page(work_dir)
    assert "The network could not be drawn: The search space is" in found.text
    assert "evolution, top 50" in found.text


def test_a_front_over_the_objective_of_nsga2(work_dir, unwritten):
    set_options(
        work_dir / "search/random", strategy="nsga2", objective="latency_ms"
    )
    text = page(work_dir).text
    assert "random: accuracy over predicted latency [ms]" in text
    assert "evolution: accuracy over multiply-adds" in text


def test_searches_of_other_supernets_have_charts_of_their_own(
    work_dir, unwritten
):
    together = page(work_dir).text
    set_options(work_dir / "search/random", supernet_name="other")
    apart = page(work_dir).text
    both = r"evolution and random|random and evolution"
    assert re.search(both, together)
    assert not re.search(both, apart)


def test_the_architecture_that_a_supernet_learned(work_dir, unwritten):
    source_file = work_dir / "search" / "random" / "best.json"
    shutil.copy(source_file, work_dir / "supernet" / "default" / "best.json")
    assert "supernet/default, search/random" in page(work_dir).text


def test_flags_are_not_read(work_dir, unwritten):
    before = source(work_dir)
    for path in work_dir.rglob("*.flags"):
        time = path.stat().st_mtime
        path.write_bytes(b"--supernet_name=other\n--strategy=nsga2\n\xff")
        os.utime(path, (time, time))
    assert source(work_dir) == before


def test_scores_of_another_metric_are_no_accuracies(work_dir):
    loss = {"metric": "loss", "direction": "min"}
    metrics = work_dir / "subnet/winner/metrics.json"
    of_test = {"macs": 7, "test_score": 1.25, "deploy_form_loss": 1.375, **loss}
    metrics.write_text(json.dumps(of_test), "utf-8")
    rows = [{"limit": "macs<=9", "costs": {}, "score": 2.625, **loss}]
    table = work_dir / "search_limits/default/table.json"
    table.write_text(json.dumps(rows), "utf-8")
    best = work_dir / "search/evolution/best.json"
    data = json.loads(best.read_text("utf-8"))
    for one in data["measured"]["candidates"]:
        del one["accuracy"]
        one |= {"score": 3.875, **loss}
    best.write_text(json.dumps(data), "utf-8")
    events = work_dir / "supernet/default/events"
    shutil.rmtree(events)
    writer = EventWriter(events, start_step=0)
    writer.on_train_batch_end(9, {"loss": 1.0, "images_per_second": 7.0})
    writer.on_test_end({"loss": 1.0, "path0": 0.5})
    writer.close()
    text = page(work_dir).text
    assert "The test loss is 1.25." in text
    assert "as the exported files compute, it is 1.375." in text
    assert "2.625" in text and "3.875" in text
    assert "scores of fixed paths" in text
    assert "accuracy of fixed paths" not in text


def test_an_export_right_in_its_folder_is_shown(work_dir, unwritten):
    """As `export_subnet(model, "runs/x/export")` leaves it."""
    exports = work_dir / "export"
    for path in (exports / "winner").iterdir():
        path.rename(exports / path.name)
    (exports / "winner").rmdir()
    (exports / "saved_model").mkdir()
    text = page(work_dir).text
    assert "61,928" in text and "ab12ab12ab12" in text
    assert "export/export" in text and "export/saved_model" not in text
