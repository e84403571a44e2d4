"""`python tools/check_data.py` is `spos check_data`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("check_data")
