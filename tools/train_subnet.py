"""`python tools/train_subnet.py` is `spos train_subnet`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("train_subnet")
