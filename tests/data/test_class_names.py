"""Labels in the order of a network's outputs."""

import keras
import numpy as np
import pytest

from spos_tf.data.class_names import outputs_of_classes, relabelled
from spos_tf.data.inputs import images_of
from spos_tf.data.preprocessing import PreprocessingOptions
from spos_tf.data.sources import folder
from spos_tf.errors import UserError

AS_THEY_ARE = PreprocessingOptions(image_size=4, augmentation="none")
OUTPUTS = ("wolf", "Bee", "ant")


def test_the_same_names_in_another_order_are_put_right():
    assert outputs_of_classes(OUTPUTS, OUTPUTS, "data") is None
    found = outputs_of_classes(("Bee", "ant", "wolf"), OUTPUTS, "data")
    assert found.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("Bee", "dog", "wolf"), ["not among the outputs: ['dog']", "'ant'"]),
        (("Bee", "wolf"), ["missing in the data: ['ant']"]),
        (("ant", "ant", "wolf"), ["['ant', 'ant', 'wolf']"]),
        (tuple(map(str, range(40))), ["'19', ...] (40 in all)"]),
    ],
)
def test_other_names_are_refused_and_both_lists_named(names, said):
    with pytest.raises(UserError) as caught:
        outputs_of_classes(names, OUTPUTS, "data set 'x'", ", or do y")
    for part in (
        "['wolf', 'Bee', 'ant']",
        "data set 'x' has",
        "or do y.",
        *said,
    ):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_of_a_folder_follow_the_outputs(class_folder):
    given = folder(class_folder, test_fraction=0.3)
    for argument in ("train", "test"):
        own = images_of(given, argument=argument, num_classes=3)
        found = images_of(
            given, argument=argument, num_classes=3, outputs=OUTPUTS
        )
        assert found.class_names == OUTPUTS
        np.testing.assert_array_equal(found.split.items, own.split.items)
        names = [own.class_names[label] for label in own.split.labels]
        assert [OUTPUTS[label] for label in found.split.labels] == names
    # Put right, it is the very data that the training had.
    again = images_of(given, argument="test", num_classes=3, outputs=OUTPUTS)
    assert again.fingerprint() == found.fingerprint() != own.fingerprint()


def test_labels_of_arrays_and_datasets_follow_the_outputs(class_folder):
    for hidden in class_folder.glob("*/.hidden.png"):
        hidden.unlink()
    dataset = keras.utils.image_dataset_from_directory(
        class_folder, image_size=(4, 4), batch_size=7, verbose=False
    )
    assert dataset.class_names == ["Bee", "ant", "wolf"]
    own, found = (
        images_of(
            dataset, argument="test", num_classes=3, outputs=outputs
        ).everything(AS_THEY_ARE)
        for outputs in (None, OUTPUTS)
    )
    # The value of a pixel tells the image, which tells the class.
    by_pixel = dict(
        zip(own.items[:, 0, 0, 0].tolist(), own.labels, strict=True)
    )
    expected = [
        [1, 2, 0][by_pixel[pixel]] for pixel in found.items[:, 0, 0, 0].tolist()
    ]
    assert found.labels.tolist() == expected and len(expected) == 60
    arrays = images_of(
        (own.items, own.labels),
        argument="train",
        num_classes=3,
        class_names=dataset.class_names,
        outputs=OUTPUTS,
    )
    assert arrays.split.labels.tolist() == [
        [1, 2, 0][label] for label in own.labels
    ]


def test_labels_of_a_stream_follow_the_outputs(stream_split):
    order = np.arange(12, dtype=np.int32)[::-1].copy()
    found = relabelled(stream_split, order)
    labels = [int(label) for _, label in found.records(3)]
    assert labels == [*range(8, -1, -1)]
    assert found.identity == stream_split.identity


def test_what_has_no_names_is_taken_as_it_is(class_folder, caplog):
    given = folder(class_folder, test_fraction=0.3)
    numbers = ("0", "1", "2")
    found = images_of(given, argument="train", num_classes=3, outputs=numbers)
    assert found.class_names == ("Bee", "ant", "wolf")
    assert "label 0 is taken as output 0" in caplog.text
    caplog.clear()
    arrays = np.zeros((3, 4, 4, 3), np.uint8), np.arange(3)
    found = images_of(arrays, argument="train", num_classes=3, outputs=OUTPUTS)
    assert found.class_names == OUTPUTS and not caplog.text
    assert found.split.labels.tolist() == [0, 1, 2]
