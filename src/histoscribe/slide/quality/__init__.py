"""Which parts of a slide are no clean tissue: pen, blur, folds, bubbles, glass."""
