"""Several seeds of one training in one process: one call of the kernels for the tasks of all of them, and for
each seed the very numbers of its own single run."""
