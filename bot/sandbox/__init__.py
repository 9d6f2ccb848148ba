"""Discord and fal on loopback, with a page to chat in: the bot, to be tried without a token."""
