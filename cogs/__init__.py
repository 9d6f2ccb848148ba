"""Everything that speaks Discord: commands, cards, buttons, delivery."""
