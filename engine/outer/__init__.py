"""Outer rules: how meta-parameters learn from many tasks."""
