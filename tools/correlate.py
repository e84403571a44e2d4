"""`python tools/correlate.py` is `spos correlate`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("correlate")
