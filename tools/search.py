"""`python tools/search.py` is `spos search`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("search")
