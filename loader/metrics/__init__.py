"""The loader's metrics: descriptions and registry."""
