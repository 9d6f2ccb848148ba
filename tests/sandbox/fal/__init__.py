"""Tests of the fake fal, driven by the unmodified fal_client and by plain HTTP."""
