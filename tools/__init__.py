"""Scripts that are not tests: documentation, screenshots, a browser."""
