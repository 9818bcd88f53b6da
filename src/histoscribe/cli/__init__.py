"""The shell: one file per verb."""
