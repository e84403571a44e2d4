"""The command that ends the cache of decoded images."""

import re


def test_sizes_are_shown_and_files_are_gone(run_tool, tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "search-500-224of256-0123.images").write_bytes(bytes(1_500_000))
    (folder / "0123.fingerprint").write_text("abc")
    (folder / "mine.txt").write_text("mine")
    done = run_tool("clear_cache", f"--cache_dir={folder}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"-0123\.images: 1\.5 MB, last used 20\d\d", done.stderr)
    assert "Freed 1.5 MB" in done.stderr
    assert [one.name for one in folder.iterdir()] == ["mine.txt"]
    again = run_tool("clear_cache", f"--cache_dir={folder}")
    assert again.returncode == 0 and "Freed 0.0 MB" in again.stderr
