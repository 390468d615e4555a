"""Worker processes: one for each core answers, and one supervisor keeps the workers and the rules."""
