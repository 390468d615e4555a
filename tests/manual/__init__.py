"""What makes the parts of docs/ that come from the code, and the site of it: ``make docs``."""
