"""Snapshots: reading a compiled blob in place, and deciding from the blob."""
