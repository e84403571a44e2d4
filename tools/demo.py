"""`python tools/demo.py` is `spos demo`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("demo")
