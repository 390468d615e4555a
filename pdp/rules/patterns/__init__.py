"""Patterns: alphabet, parser, notation, and sets of numbers as a partition."""
