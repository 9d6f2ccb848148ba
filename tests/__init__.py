"""All tests; README.md says what each file proves and how to run them."""
