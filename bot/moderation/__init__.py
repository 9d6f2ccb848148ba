"""What may be asked and shown. The room is kept; nothing lives here yet."""
