"""Publishing: revisions, lease, shipping of blobs, errors of Redis."""
