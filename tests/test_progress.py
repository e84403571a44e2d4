"""Progress bars on terminals and in files."""

import sys

import pytest

from spos_tf.progress import progress


@pytest.mark.parametrize(("terminal", "least"), [(True, 0.5), (False, 10.0)])
def test_a_log_file_gets_a_line_now_and_then(
    terminal, least, monkeypatch, capsys
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with progress(total=3, desc="looking") as bar:
        assert bar.mininterval == least
        bar.update(3)
    assert "looking: 100%" in capsys.readouterr().err
    assert list(progress([1, 2], disable=True)) == [1, 2]
