"""tools/report.py: one file, one line where there is nothing to show."""

import pytest

from made_up_work_dir import write_search, write_work_dir
from page_reader import Page
from refusals import refuses, tree
from spos_tf.spaces import build_blueprint


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full") / "work"
    write_work_dir(folder)
    return folder


def test_it_writes_one_file_and_changes_no_other(run_tool, full):
    before = tree(full)
    done = run_tool("report", f"--work_dir={full}")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert str(full / "report.html") in done.stderr
    after = tree(full)
    page = after.pop("report.html")
    assert after == before
    assert "evolution: best so far" in Page(page.decode()).text
    # Made again it is the same: it does not show itself.
    run_tool("report", f"--work_dir={full}")
    assert tree(full)["report.html"] == page


def test_another_place(run_tool, full, tmp_path):
    before = tree(full)
    output = tmp_path / "page.html"
    done = run_tool("report", f"--work_dir={full}", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert Page(output.read_text("utf-8")).text
    assert tree(full) == before


def test_a_half_character_in_a_name_can_be_written(run_tool, tmp_path):
    blueprint = build_blueprint("shufflenet_blocks", preset="demo")
    folder = tmp_path / "search" / "\udcff"
    folder.mkdir(parents=True)
    write_search(folder, blueprint, strategy="random", seed=0, count=3)
    done = run_tool("report", f"--work_dir={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert Page((tmp_path / "report.html").read_text("utf-8")).text


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, "there is none at"),
        (lambda path: path.write_text(""), "there is none at"),
        (lambda path: path.mkdir(), "There is nothing to report in"),
        (
            lambda path: (path / "search").mkdir(parents=True),
            "Start with train_supernet",
        ),
    ],
    ids=["missing", "a file", "empty", "no run"],
)
def test_nothing_to_show_is_one_line(run_tool, tmp_path, make, expected):
    path = tmp_path / "work"
    make(path)
    before = tree(tmp_path)
    refuses(run_tool("report", f"--work_dir={path}"), str(path), expected)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("output", ["", "no/such/page.html"])
def test_a_place_that_cannot_be_written(run_tool, full, tmp_path, output):
    path = tmp_path / output
    before = tree(full)
    refuses(
        run_tool("report", f"--work_dir={full}", f"--output={path}"),
        "--output",
        str(path),
    )
    assert tree(full) == before
