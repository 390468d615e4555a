"""Test cases of rules: calls with required decisions, kept beside the definitions."""
