"""The client library: channel, messages, values, errors."""
