"""What is said differently to each engine, one file an engine."""
