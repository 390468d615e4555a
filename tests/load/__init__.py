"""Load tests with ghz."""
