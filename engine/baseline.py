"""The algorithm that the others are compared with where nothing else is asked for."""

BASELINE = "pretrain"
