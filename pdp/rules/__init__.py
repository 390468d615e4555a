"""Call permissions, compiled: the core that loader and server share. Standard library only."""
