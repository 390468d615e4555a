"""Mistakes of meaning: rules that are well formed, and do not say what they were written for."""
