"""Analysis of rules: explanations, reach, callers."""
