"""Test cases of rules: calls with the decisions that they must get, kept beside the definitions."""
