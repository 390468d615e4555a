"""Snapshots: reading a compiled blob where it lies, and deciding from it."""
