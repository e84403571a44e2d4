"""`python tools/clear_cache.py` is `spos clear_cache`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("clear_cache")
