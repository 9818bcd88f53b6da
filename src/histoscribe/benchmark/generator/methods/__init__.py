"""One file a method or a family of them: each names its methods in `METHODS`."""
