"""Flags made of options, and what wins where a flag file says otherwise."""

import dataclasses

import pytest
from absl import flags

from source_tree import REPO
from spos_tf.cli import flags as our_flags
from spos_tf.cli.program import COMMANDS, find_command
from spos_tf.errors import UserError
from spos_tf.options import Options, TrainingOptions, flag_lines, option


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baking(Options):
    """What a baker decides."""

    loaves: int | None = option(None, "How many.", least=1)
    heat: float = option(220.0, "Of the oven.", above=0)
    steam: bool = option(True, "Whether there is steam.")
    grain: tuple[str, ...] = option((), "Repeatable.", repeated=True)
    seeds: tuple[str, ...] = option(("none",), "With commas.")
    extras: dict[str, int] | None = option(None, "A JSON object.")


def defined():
    values = flags.FlagValues()
    # absl defines it in its own values alone.
    flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
    our_flags.define([Baking], values)
    return values


def read(*typed):
    values = defined()
    in_files, rest = our_flags.arguments(typed, values)
    assert values(["program", *in_files, *rest]) == ["program"]
    return our_flags.parsed(Baking, values)


@pytest.fixture
def flagfile(tmp_path):
    def write(text):
        path = tmp_path / "a.flags"
        path.write_text(text)
        return f"--flagfile={path}"

    return write


def test_defaults_are_the_options():
    assert read() == Baking()


def test_every_kind_of_value():
    assert read(
        "--loaves=3",
        "--heat=250.5",
        "--nosteam",
        "--grain=rye,oat",
        "--grain=spelt",
        "--seeds=flax,poppy",
        '--extras={"salt": 2}',
    ) == Baking(
        loaves=3,
        heat=250.5,
        steam=False,
        grain=("rye,oat", "spelt"),
        seeds=("flax", "poppy"),
        extras={"salt": 2},
    )


@pytest.mark.parametrize(
    ("typed", "in_file", "expected"),
    [
        (["--loaves=3"], "--loaves=5", Baking(loaves=3)),
        (["--nosteam"], "--steam", Baking(steam=False)),
        (["--steam"], "--nosteam", Baking(steam=True)),
        (["--steam=false"], "--steam=true", Baking(steam=False)),
        (["--seeds=flax"], "--seeds=poppy", Baking(seeds=("flax",))),
        # A repeated flag is not added to.
        (
            ["--grain=rye"],
            "--grain=oat\n--grain=spelt",
            Baking(grain=("rye",)),
        ),
        (
            ["--loaves=3"],
            "--grain=oat\n--grain=spelt",
            Baking(loaves=3, grain=("oat", "spelt")),
        ),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_the_command_line_wins(flagfile, typed, in_file, expected, before):
    """Wherever the flag file stands."""
    file = [flagfile(f"# A comment.\n{in_file}\n")]
    assert read(*(typed + file if before else file + typed)) == expected


def test_a_later_flag_file_wins_over_an_earlier_one(tmp_path):
    for number in (1, 2):
        (tmp_path / f"{number}.flags").write_text(f"--loaves={number}\n")
    names = [f"--flagfile={tmp_path / f'{n}.flags'}" for n in (1, 2)]
    assert read(*names).loaves == 2
    assert read(*reversed(names)).loaves == 1


def test_a_flag_file_is_found_in_the_package(tmp_path, monkeypatch):
    """Of the folder where the command is run nothing is asked."""
    name = "saved_configs/describe/imagenet.flags"
    monkeypatch.chdir(tmp_path)
    kinds = find_command("describe").kinds

    def lines():
        values = flags.FlagValues()
        flags.DEFINE_multi_string("flagfile", [], "", flag_values=values)
        our_flags.define(kinds, values)
        return our_flags.arguments([f"--flagfile={name}"], values)[0]

    own = [
        line
        for line in (REPO / name).read_text("utf-8").splitlines()
        if line.startswith("--")
    ]
    assert lines() == own
    # The working folder comes first.
    (tmp_path / "saved_configs" / "describe").mkdir(parents=True)
    (tmp_path / name).write_text("--list\n")
    assert lines() == ["--list"]


@pytest.mark.parametrize(
    "name",
    ["other/describe/imagenet.flags", "saved_configs/../setup.cfg", "no.flags"],
)
def test_other_files_are_not_looked_for(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(flags.CantOpenFlagFileError, match="No such file"):
        read(f"--flagfile={name}")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("--loaves=0", "`loaves` is at least 1; got 0"),
        ("--heat=0", "`heat` is above 0; got 0"),
        ("--heat=nan", "`heat` is above 0; got nan"),
        ("--extras=[1]", r"`extras` is a JSON object; got '\[1\]'"),
        ("--extras={", "`extras` is a JSON object"),
    ],
)
def test_a_wrong_value_names_the_option(typed, message):
    with pytest.raises(UserError, match=message):
        read(typed)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`loaves` is 1.", "--loaves is 1."),
        ("got `loaves=0`.", "got --loaves=0."),
        ("`steam=true` is hot.", "--steam is hot."),
        ("Give `steam=false`.", "Give --nosteam."),
        # What is no flag of the command stays.
        ("`butter` and `--loaves`.", "`butter` and `--loaves`."),
        ("`grain=rye, oat`", "--grain=rye, oat"),
    ],
)
def test_messages_name_flags(message, expected):
    names = [one.name for one in Baking.described()]
    assert our_flags.as_flags(message, names) == expected


def test_lines_of_a_flag_file_say_the_options():
    given = Baking(
        loaves=2, steam=False, grain=("a,b", "c"), extras={"salt": 1}
    )
    lines = flag_lines(given.to_dict(), Baking.described())
    assert read(*lines) == given


def test_of_a_training_too():
    given = TrainingOptions(steps=5, optimizer_arguments={"momentum": 0.5})
    values = flags.FlagValues()
    our_flags.define([TrainingOptions], values)
    lines = flag_lines(given.to_dict(), TrainingOptions.described())
    values(["program", *lines])
    assert our_flags.parsed(TrainingOptions, values) == given


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_well_described(name):
    command = find_command(name)
    first = command.text.strip().splitlines()[0]
    assert first.endswith(".")
    assert len(first) <= 80
    options = our_flags.described(command.kinds)
    assert {*command.required} <= {one.name for one in options}
    for one in options:
        assert one.full_help().rstrip(")").endswith("."), one.name


@pytest.mark.parametrize(
    ("flag", "commands"),
    {
        "weights": "search search_limits correlate train_subnet",
        "dtype_policy": "search search_limits correlate evaluate "
        "train_supernet train_subnet",
        "confirm_per_class": "train_supernet",
        "final_learning_rate": "train_supernet train_subnet",
        "cache_memory": "search search_limits correlate",
        "cache_dir": "search search_limits correlate clear_cache",
    }.items(),
)
def test_an_option_is_a_flag_wherever_it_counts(flag, commands):
    found = {
        name
        for name in COMMANDS
        for one in our_flags.described(find_command(name).kinds)
        if one.name == flag
    }
    assert found == {*commands.split()}
