"""Publication: what loader and server agree on in Redis."""
