"""The Discord side of the bot: commands, cards (Components V2 messages), buttons, delivery."""
