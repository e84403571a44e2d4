"""Every search space to every format that holds it, and to no other."""

import numpy as np
import pytest

from spos_tf.errors import UserError
from spos_tf.export.exporting import export_model, possible_formats
from spos_tf.export.formats import DEPLOY_FORM, FORMATS
from spos_tf.networks.subnet import build_subnet
from spos_tf.networks.transfer import inherit_weights

# Random weights tell nothing about accuracy: what int8 and float16 keep is
# asked of trained networks (tests/export, the demo).
ANY_AGREEMENT = {
    name: 0.0
    for name, known in {**FORMATS, DEPLOY_FORM.name: DEPLOY_FORM}.items()
    if not known.is_exact
}


@pytest.fixture(scope="module")
def inherited(blueprint, supernet, evaluator, covering, batches):
    """(architecture, network, images, labels) of a path of the supernet."""
    encoding = covering[-1]
    subnet = build_subnet(blueprint, encoding)
    inherit_weights(
        subnet,
        blueprint,
        encoding,
        supernet.named_variables,
        evaluator.recalibrate(encoding),
    )
    images = np.concatenate([images for images, _ in batches])
    classifier = subnet.layers[-1]
    # Logits of a few units, apart from each other: initial weights give
    # 0.01, where every row would be a near tie.
    spread = np.asarray(subnet(images)).std(axis=0).mean()
    classifier.kernel.assign(classifier.kernel / spread)
    labels = np.asarray(subnet(images)).argmax(axis=1)
    return blueprint.architecture(encoding), subnet, images, labels


def _export(blueprint, inherited, folder, formats):
    architecture, subnet, images, labels = inherited
    return export_model(
        subnet,
        blueprint=blueprint,
        architecture=architecture,
        formats=formats,
        folder=folder,
        images=images,
        labels=labels,
        representative_images=images,
        min_agreement=ANY_AGREEMENT,
    )


def test_every_possible_format_gives_the_same_numbers(
    blueprint, inherited, tmp_path
):
    """`export_model` raises where an exact format's logits are others."""
    possible = possible_formats(inherited[1])
    manifest = _export(blueprint, inherited, tmp_path, possible)
    assert tuple(manifest["files"]) == possible
    assert manifest["architecture"] == inherited[0].to_dict()
    for name, entry in manifest["files"].items():
        assert (tmp_path / entry["path"]).exists()
        # Rows too close to call are left out; most are not.
        assert entry["near_ties"] < len(inherited[2]) / 4
        if FORMATS[name].is_exact:
            assert entry["top1_agreement"] == 1.0
        # More is nothing that delegates of GPUs and NPUs take.
        is_tflite = entry["path"].endswith(".tflite")
        assert entry.get("most_dimensions") == (4 if is_tflite else None)


def test_a_format_that_holds_other_networks_is_refused(
    blueprint, inherited, tmp_path
):
    possible = possible_formats(inherited[1])
    for name in set(FORMATS) - set(possible):
        with pytest.raises(UserError, match=f"cannot be exported to '{name}'"):
            _export(blueprint, inherited, tmp_path / "out", [possible[0], name])
        assert not (tmp_path / "out").exists()
