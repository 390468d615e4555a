"""Publication: the contract between loader and server in Redis."""
