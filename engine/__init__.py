"""The engine: trains and evaluates meta-learners; knows no terminal."""
