"""Benchmarks: what is measured, how, and against which floor."""
