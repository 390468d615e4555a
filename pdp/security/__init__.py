"""Authentication, authorization, client limits and TLS."""
