"""Numbers of a network, from its description; nothing runs."""
