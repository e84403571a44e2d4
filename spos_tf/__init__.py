"""Single Path One-Shot neural architecture search on Keras 3."""
