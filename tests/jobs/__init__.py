"""Tests of the life of a job: runner, leases, limits at fal, reconciliation."""
