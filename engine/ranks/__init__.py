"""One training over several processes: each learns from its share of every meta-batch, and all make the same
outer step."""
