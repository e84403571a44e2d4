"""`python tools/report.py` is `spos report`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("report")
