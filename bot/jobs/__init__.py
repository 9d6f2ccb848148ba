"""The life of a job: its states, its events, and the runner that carries it."""
