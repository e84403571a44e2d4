"""What a choice is made of: blocks, the operations they use, path layers."""
