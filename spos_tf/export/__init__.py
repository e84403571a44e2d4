"""Networks as files for other programs, each checked in its own runtime."""
