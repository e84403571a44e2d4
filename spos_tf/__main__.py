"""`python -m spos_tf COMMAND ...` is `spos COMMAND ...`."""

from spos_tf.cli.program import main

if __name__ == "__main__":
    main()
