"""Tests of the web server: health, metrics, fal's signed callbacks."""
