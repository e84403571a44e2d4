"""The rates of a training: what goes together, and what a recipe gives."""

import copy
import pickle

import pytest

from spos_tf.errors import UserError
from spos_tf.options import (
    ScoringOptions,
    SearchOptions,
    SubnetOptions,
    SupernetOptions,
    TrainingOptions,
)

RECIPE = {
    "learning_rate": 0.5,
    "schedule": "cosine",
    "final_learning_rate": 0.05,
}


@pytest.mark.parametrize(
    "given, message",
    [
        ({"final_learning_rate": -0.1}, "is at least 0; got -0.1"),
        (
            {"final_learning_rate": 0.2, "learning_rate": 0.1},
            "is at most `learning_rate`; got 0.2 and 0.1",
        ),
        (
            {"final_learning_rate": 0.2, "schedule": "constant"},
            "`schedule=constant` stays.*`final_learning_rate=0.2`",
        ),
    ],
)
def test_a_final_rate_that_cannot_be_is_refused(given, message):
    with pytest.raises(UserError, match=message):
        TrainingOptions(**given)


def test_a_final_rate_above_the_recipes_peak_is_refused():
    with pytest.raises(UserError, match="got 0.6 and 0.5"):
        TrainingOptions(final_learning_rate=0.6).with_recipe(RECIPE)


@pytest.mark.parametrize(
    "given, wanted",
    [
        ({}, 0.05),
        # The same share of another peak.
        ({"learning_rate": 0.01}, pytest.approx(0.001)),
        ({"learning_rate": 0.0}, 0.0),
        ({"schedule": "constant"}, 0.0),
        ({"final_learning_rate": 0.0}, 0.0),
        ({"final_learning_rate": 0.2}, 0.2),
    ],
)
def test_a_recipes_final_rate_belongs_to_its_peak(given, wanted):
    full = TrainingOptions(**given).with_recipe(RECIPE)
    assert full.final_learning_rate == wanted


@pytest.mark.parametrize(
    ("given", "peak", "final"),
    [
        ({}, 0.5, 0.05),
        ({"optimizer": "SGD"}, 0.5, 0.05),
        ({"optimizer": "adam"}, 0.05, 0.005),
        ({"optimizer": "adam", "learning_rate": 0.1}, 0.1, 0.01),
        ({"optimizer": "adam", "final_learning_rate": 0.0}, 0.05, 0.0),
    ],
)
def test_a_recipes_rates_are_for_sgd(given, peak, final):
    full = TrainingOptions(**given).with_recipe(RECIPE)
    assert (full.learning_rate, full.final_learning_rate) == (peak, final)


@pytest.mark.parametrize(
    ("given", "optimizer", "peak"),
    [
        ({}, "adam", 0.05),
        ({"optimizer": "nadam"}, "nadam", 0.05),
        ({"optimizer": "sgd"}, "sgd", 0.5),
        # A rate, or arguments, say nothing of Adam.
        ({"learning_rate": 0.3}, "sgd", 0.3),
        ({"learning_rate": 0.3, "optimizer": "adam"}, "adam", 0.3),
        ({"final_learning_rate": 0.1}, "sgd", 0.5),
        ({"final_learning_rate": 0.0}, "adam", 0.05),
        ({"optimizer_arguments": {"nesterov": True}}, "sgd", 0.5),
    ],
)
def test_a_recipes_optimizer_goes_with_its_rate(given, optimizer, peak):
    recipe = {**RECIPE, "optimizer": "adam", "learning_rate": 0.05}
    full = TrainingOptions(**given).with_recipe(recipe)
    assert (full.optimizer, full.learning_rate) == (optimizer, peak)
    momentum = optimizer == "sgd" and "optimizer_arguments" not in given
    assert ("momentum" in full.all_optimizer_arguments) == momentum


def test_supernets_alone_are_averaged():
    assert SupernetOptions().average_every > 0
    assert SupernetOptions(average_every=0).average_every == 0
    with pytest.raises(UserError, match="`average_every` is at least 0"):
        SupernetOptions(average_every=-1)
    assert "average_every" not in {o.name for o in SubnetOptions.described()}


def test_which_weights_are_read_is_one_of_two():
    with pytest.raises(UserError, match="is one of averaged, last; got 'ema'"):
        ScoringOptions(weights="ema")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epoch": 4}, "^There is no option `epoch` here. Did you mean `epoc"),
        ({"quite_other": 4}, "^There is no option `quite_other` here.$"),
        ({"steps": 4, "learning_rte": 1.0}, "Did you mean `learning_rate`"),
    ],
)
def test_a_misspelled_option_is_named(given, message):
    with pytest.raises(UserError, match=message) as caught:
        SupernetOptions(**given)
    assert isinstance(caught.value, TypeError)


def test_a_number_in_place_of_a_text_is_told_the_quotes():
    with pytest.raises(UserError, match="got 30. Put it in quotes: '30'.$"):
        SearchOptions(time_limit=30)


def test_options_can_be_copied_and_pickled():
    options = SupernetOptions(steps=4)
    assert copy.copy(options) == copy.deepcopy(options) == options
    assert pickle.loads(pickle.dumps(options)) == options
