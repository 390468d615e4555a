"""Parts for every program: HTTP port, addresses, version, cores, description of a metric."""
