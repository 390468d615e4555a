"""Definitions: from the bytes of a file to tenants that may be published, and to all faults."""
