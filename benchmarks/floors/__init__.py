"""Floors: the least work that could give the same result, written by hand and measured in the same run."""
