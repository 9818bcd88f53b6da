"""Work off the GUI thread: its progress, its end, its errors."""
