"""What a prediction rests on: attribution and attention."""
