"""Following edits inside one file: only the members that changed are read again."""
