"""What every program needs: HTTP port, addresses, version, cores, description of a metric."""
