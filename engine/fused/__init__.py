"""The fused core: blocks whose calculus is derived by hand, in compiled kernels for all tasks at once."""
