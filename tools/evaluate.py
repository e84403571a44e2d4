"""`python tools/evaluate.py` is `spos evaluate`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("evaluate")
