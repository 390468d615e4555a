"""The console: pages in a browser that show what rules decide, and what an edit would change."""
