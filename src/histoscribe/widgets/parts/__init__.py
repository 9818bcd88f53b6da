"""Parts that panels share."""
