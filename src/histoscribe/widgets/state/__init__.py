"""What one viewer shows, and what the user prefers."""
