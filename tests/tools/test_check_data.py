"""The command that looks at a data set."""

import json

from PIL import Image

from refusals import refuses


def make(root, broken):
    for part in ("train", "test"):
        for label, name in enumerate(("ant", "bee")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for index in range(3):
                image = Image.new("RGB", (8, 8), (len(part), label, index))
                image.save(folder / f"{index}.png")
    if broken:
        (root / "test" / "bee" / "2.png").write_bytes(b"")


def test_a_table_and_a_file(run_tool, tmp_path):
    make(tmp_path / "data", broken=False)
    output = tmp_path / "data.json"
    result = run_tool(
        "check_data",
        f"--dataset=folder:{tmp_path / 'data'}",
        f"--output={output}",
    )
    assert result.returncode == 0, result.stderr
    rows = {
        line.rsplit(None, 2)[0]: line.split()[-2:]
        for line in result.stdout.splitlines()
        if len(line.split()) > 2
    }
    assert rows["images"] == ["6", "6"]
    assert rows["class 'bee'"] == ["3", "3"]
    assert json.loads(output.read_text("utf-8"))["classes"] == ["ant", "bee"]


def test_what_cannot_be_read_is_exit_code_2(run_tool, tmp_path):
    make(tmp_path / "data", broken=True)
    output = tmp_path / "data.json"
    result = run_tool(
        "check_data",
        f"--dataset=folder:{tmp_path / 'data'}",
        f"--output={output}",
    )
    assert result.returncode == 2
    assert "cannot be read" in result.stdout
    last = result.stderr.splitlines()[-1]
    assert last.startswith("check_data.py: 1 image cannot be read: ")
    assert "bee/2.png' (it is empty)" in last
    assert output.exists()


def test_an_address_is_refused(run_tool, tmp_path):
    for arguments in (
        ("--dataset=folder:gs://bucket/photos",),
        ("--dataset=digits", "--output=s3://bucket/data.json"),
    ):
        refuses(run_tool("check_data", *arguments), "is a path of this machine")
