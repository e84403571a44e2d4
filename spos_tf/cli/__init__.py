"""The commands: flags made of the options' fields."""
