"""Snapshots that a server holds: current ones, following Redis, disk, freshness."""
