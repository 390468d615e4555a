"""The loader: sources → definitions → validated tenants → compiled snapshots → published revisions."""
