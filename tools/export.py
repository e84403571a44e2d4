"""`python tools/export.py` is `spos export`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("export")
