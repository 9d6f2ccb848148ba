"""Runs jobs from acceptance to delivery; see `bot.jobs.runner`."""
