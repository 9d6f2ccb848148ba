"""Values and protocols that the store, fal, media, jobs and cogs share."""
