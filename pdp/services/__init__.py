"""The services of the API over plain messages, and the fast path."""
