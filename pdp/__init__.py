"""The policy decision point: current snapshots, decisions, and the servers that answer from them."""
