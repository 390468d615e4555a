"""The text of definitions: YAML and JSON read with the position of each value."""
