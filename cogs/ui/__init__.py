"""What people see, as values: texts, cards, buttons, modals. No I/O."""
