"""Resilience proofs: nothing is lost, doubled or charged wrongly, wherever the bot is killed or cut off."""
