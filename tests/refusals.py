"""What a refused tool leaves: one line, exit code 2, and nothing else."""

TINY_RUN = (
    "--preset=demo",
    "--dataset=digits",
    "--augmentation=shift",
    "--batch_size=16",
    "--steps=2",
    "--checkpoint_every=1",
    "--log_every=1",
    "--validate_every=0",
)


def tree(folder):
    """Every file and folder below, with what is in the files."""
    return {
        path.relative_to(folder).as_posix(): path.is_file()
        and path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def refuses(result, *expected):
    tool = result.args[0]
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith(f"{tool}.py: ")
    for part in expected:
        assert part in result.stderr
