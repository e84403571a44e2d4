"""Blueprints and networks that flags name."""

import dataclasses
import pathlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from spos_tf.cli.program import Given
from spos_tf.data.sources import DataSource, is_folder
from spos_tf.errors import UserError
from spos_tf.networks.blueprint import Blueprint
from spos_tf.options import (
    NetworkOptions,
    RunOptions,
    SourceOptions,
    SpaceOptions,
    SubnetNameOptions,
)
from spos_tf.space.search_space import parse_encoding
from spos_tf.spaces import build_blueprint, named_network, uniform_network

if TYPE_CHECKING:
    import keras

DEFAULT_SPACE = "shufflenet_blocks"


class Network(NamedTuple):
    """One network of a family.

    Attributes:
        blueprint: The family.
        encoding: int32 `[num_choices]`.
    """

    blueprint: Blueprint
    encoding: np.ndarray


def blueprint_of(space: SpaceOptions) -> Blueprint:
    """The blueprint that the options name."""
    return build_blueprint(
        space.search_space or DEFAULT_SPACE, **space.arguments
    )


def source_of(given: Given, trained: DataSource | None) -> DataSource | None:
    """The data set that the flags name, where they name one.

    Args:
        given: The flags. Where they name no data set, or another place of
            a folder, what they leave out is as in the training.
        trained: The data set of the training, where it is known.

    Returns:
        None where the flags say nothing of it.
    """
    typed = {
        name: value
        for name, value in given.values(SourceOptions).items()
        if given.is_typed(name)
    }
    if not typed:
        return None
    known = SourceOptions()
    if trained is not None and _may_have_moved(trained, typed.get("dataset")):
        known = trained.options
    return DataSource.of(dataclasses.replace(known, **typed))


def _may_have_moved(trained: DataSource, dataset: str | None) -> bool:
    kinds = (trained.dataset, dataset or trained.dataset)
    return len({"folder" if is_folder(one) else one for one in kinds}) == 1


def data_of(given: Given, *runs: pathlib.Path) -> DataSource:
    """The data set that the flags name, or that of an earlier run.

    Args:
        given: The flags.
        *runs: Folders of runs; the first that names a data set counts.

    Raises:
        UserError: Nobody names one.
    """
    from spos_tf.jobs.trained import source_of_run

    known = next(filter(None, map(source_of_run, runs)), None)
    source = source_of(given, known) or known
    return source or DataSource.of(SourceOptions())


def chosen_network(
    space: SpaceOptions, network: NetworkOptions
) -> Network | None:
    """The network that the options name; None if they name none.

    Raises:
        UserError: It is unknown, two are named, or the space is another.
    """
    named = [
        one.name
        for one in network.described()
        if getattr(network, one.name) is not None
    ]
    if len(named) > 1:
        raise UserError(f"Give `{named[0]}` or `{named[1]}`, not both.")
    if network.encoding is not None:
        found = blueprint_of(space)
        encoding = found.search_space.check(parse_encoding(network.encoding))
        return Network(found, encoding)
    if network.architecture is not None:
        from spos_tf.jobs.trained import read_network

        return Network(*read_network(network.architecture, space=space))
    if network.uniform_bits is not None:
        return Network(
            *uniform_network(
                space.search_space or DEFAULT_SPACE,
                network.uniform_bits,
                **space.arguments,
            )
        )
    if network.network is None:
        return None
    known = Network(*named_network(network.network, **space.arguments))
    own = known.blueprint.search_space.name
    if space.search_space not in (None, own):
        raise UserError(
            f"Network {network.network!r} is of space {own!r}; got "
            f"`search_space={space.search_space}`. Leave that out."
        )
    return known


def subnet_folder(given: Given) -> pathlib.Path:
    """Where the trained network that the flags name is."""
    from spos_tf.jobs.trained import SUBNET_STAGE

    run, subnet = given(RunOptions), given(SubnetNameOptions)
    name = subnet.subnet_name or run.name
    return pathlib.Path(str(run.work_dir)) / SUBNET_STAGE / name


def subnet_of_flags(given: Given) -> "keras.Model":
    """The trained network that the flags name."""
    from spos_tf.jobs.trained import load_subnet

    return load_subnet(
        subnet_folder(given),
        architecture=given(SubnetNameOptions).architecture,
        space=given(SpaceOptions),
    )
