"""The parts of the runs screen, its log and its replay."""
