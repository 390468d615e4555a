"""Worker processes: as many as there are cores answer, and one supervisor keeps them and the rules."""
