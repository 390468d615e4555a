"""The server's metrics: descriptions, counters, registry."""
