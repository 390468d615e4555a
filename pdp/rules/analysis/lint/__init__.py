"""Mistakes of meaning: well-formed rules that do not have the effect for which the rules were written."""
