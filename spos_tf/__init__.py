"""Single Path One-Shot neural architecture search on TensorFlow and Keras 3."""

__version__ = "0.2.0"
