"""What people see: texts, cards, buttons and modals, built from values. No I/O."""
