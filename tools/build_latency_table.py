"""`python tools/build_latency_table.py` is `spos build_latency_table`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("build_latency_table")
