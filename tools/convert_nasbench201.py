"""`python tools/convert_nasbench201.py` is `spos convert_nasbench201`."""

from spos_tf.cli.program import run

if __name__ == "__main__":
    run("convert_nasbench201")
