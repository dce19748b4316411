"""`cva serve`: the HTTP server around the one detector."""
