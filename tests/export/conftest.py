"""One tiny network and its files, made once for all export tests."""

import numpy as np
import pytest


def settle(model, images, seed=1):
    """Gives random weights what training gives: batch norms that fit them.

    The classifier's logits are a few units and differ by image; what all
    images have in common would otherwise decide every class.
    """
    import keras

    rng = np.random.default_rng(seed)
    norms = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for norm in norms:
        norm.gamma.assign(rng.uniform(0.5, 1.5, norm.gamma.shape))
        norm.beta.assign(rng.normal(0, 0.2, norm.beta.shape))
        norm.momentum = 0.0
    model(images, training=True)
    classifier = model.layers[-1]
    features = keras.Model(model.input, classifier.input)(images).numpy()
    mean = features.mean(axis=0)
    kernel = rng.normal(size=classifier.kernel.shape)
    kernel -= np.outer(mean, mean @ kernel) / (mean @ mean)
    classifier.kernel.assign(3 * kernel / (features @ kernel).std())


@pytest.fixture(scope="package")
def blueprint():
    from spos_tf.spaces import build_blueprint

    # Wide enough that 8-bit features agree with the network as trained.
    return build_blueprint("shufflenet_blocks", preset="demo", image_size=16)


@pytest.fixture(scope="package")
def architecture(blueprint):
    return blueprint.architecture([0, 1, 2, 3, 0])


@pytest.fixture(scope="package")
def model(blueprint, architecture, images):
    from spos_tf.networks.subnet import build_subnet

    model = build_subnet(blueprint, blueprint.encode(architecture))
    settle(model, images)
    return model


@pytest.fixture(scope="package")
def images(blueprint):
    """Smooth images over the whole range: 0 and 255 are in them."""
    rng = np.random.default_rng(0)
    size = blueprint.image_size
    coarse = rng.uniform(0, 255, (60, size // 2, size // 2, 3))
    images = coarse.repeat(2, axis=1).repeat(2, axis=2)
    images[:, 0, 0], images[:, -1, -1] = 0, 255
    return images.astype(np.float32)


@pytest.fixture(scope="package")
def reference(model, images):
    from spos_tf.export.runtimes import predict_reference

    return predict_reference(model, images)


@pytest.fixture(scope="package")
def labels(reference):
    """The network's own classes, every tenth changed: accuracy 0.9."""
    labels = reference.argmax(axis=1).astype(np.int32)
    labels[::10] = (labels[::10] + 1) % reference.shape[1]
    return labels


@pytest.fixture(scope="package")
def exported(model, architecture, blueprint, images, labels, tmp_path_factory):
    """(folder, manifest, progress) of an export to every format."""
    from spos_tf.export.exporting import export_model
    from spos_tf.export.formats import formats_of

    folder = tmp_path_factory.mktemp("export")
    steps = []
    manifest = export_model(
        model,
        blueprint=blueprint,
        architecture=architecture,
        formats=formats_of("float"),
        folder=folder,
        images=images,
        labels=labels,
        representative_images=images,
        # CPUs with half-precision arithmetic use it.
        min_agreement={"tflite_int8": 0.8, "tflite_float16": 0.9},
        progress=lambda *step: steps.append(step),
    )
    return folder, manifest, steps
