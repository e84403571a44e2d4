"""`python tools/search_limits.py` is `spos search_limits`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("search_limits")
