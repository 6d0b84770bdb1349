"""The meaning of targets y, and their mass after weights are applied."""
