"""The pages, one module each: what is asked, and the values that the template shows."""
