"""One file a family of methods: each names them in `METHODS`."""
