"""Who may ask, what of, how often, and over which connections."""
