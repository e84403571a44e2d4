"""`python tools/describe.py` is `spos describe`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("describe")
