"""`python tools/train_supernet.py` is `spos train_supernet`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("train_supernet")
