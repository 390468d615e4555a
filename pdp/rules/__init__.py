"""What a call permission means, compiled: the core that loader and server share. Standard library only."""
