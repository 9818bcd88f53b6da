"""The texture encoder: middle layers of a small network that learned from photographs, and comes along."""
