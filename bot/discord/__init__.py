"""The connection to Discord: client, throttled HTTP, rate limits, identifies."""
