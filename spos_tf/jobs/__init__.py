"""The whole job: train a supernet, search it, train and export a network."""
