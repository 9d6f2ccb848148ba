"""The connection to Discord.

client.py           the discord.py client: intents, cogs, registering commands
session.py          login, identify, connect and reconnect
identify_budget.py  when an identify is safe: Discord's daily limit, crash loops
http.py             discord.py's calls throttled, and retried after a 429
rate_limits.py      when a call may be sent; no I/O
"""
