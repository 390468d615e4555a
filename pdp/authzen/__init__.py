"""AuthZEN: the evaluation API over HTTP."""
