"""The compiler: from a tenant to the blob of a snapshot."""
