"""The simulated tables of `benchmarks/coverage.py`: what each method does on shops whose truth is known."""
