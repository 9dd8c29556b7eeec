"""The parts of the compare screen."""
