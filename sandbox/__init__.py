"""Discord and fal on loopback, and the page to chat in."""
