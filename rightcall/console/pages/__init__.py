"""The pages, one module each: the request, and the values that the template shows."""
