"""The decision log: entries, decision ids, sinks."""
