"""The switches and actions of the page's devtools: what can be made to fail, and its present value."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from sandbox.discord.fault_injection import Faults
from sandbox.discord.wire import Obj

#: The word that the page's word filter refuses.
FILTERED_WORD = "forbidden"


class FaultSource(Protocol):
    """Switches of another server, shown among ours."""

    def describe(self) -> list[dict[str, Any]]:
        """`{name, label, about, kind, value}` each; kind is switch, number or action."""
        ...

    def set(self, name: str, value: Any) -> Any:
        """Set one; an awaitable result is awaited."""
        ...


class DevTools:
    """All switches and actions, of this server and of others.

    Args:
        faults: of Discord's REST API.
        drop_gateway: cuts the bot's gateway connection.
        push: sends an event of a type to every open page.
    """

    def __init__(
        self, faults: Faults, drop_gateway: Callable[[], Awaitable[None]], push: Callable[[str, Obj], None]
    ) -> None:
        self._faults = faults
        self._drop_gateway = drop_gateway
        self._push = push
        self._sources: list[FaultSource] = []
        self._actions: dict[str, tuple[Obj, Callable[[Any], Awaitable[None]]]] = {}

    def add_source(self, source: FaultSource) -> None:
        """Show another server's switches too."""
        self._sources.append(source)

    def add_action(self, name: str, label: str, about: str, act: Callable[[Any], Awaitable[None]]) -> None:
        """Add a button."""
        shown = {"name": name, "label": label, "about": about, "kind": "action", "value": None}
        self._actions[name] = (shown, act)

    def describe(self) -> list[dict[str, Any]]:
        """Every switch and action, with its present value."""
        shown = [one for source in self._sources for one in source.describe()]
        shown.append(
            {
                "name": "rate_limit",
                "label": "Discord is busy",
                "about": "Discord often asks the bot to slow down (429).",
                "kind": "switch",
                "value": self._faults.random_429s,
            }
        )
        shown.append(
            {
                "name": "word_filter",
                "label": "Word filter",
                "about": f"The server's filter (AutoMod) blocks messages with the word “{FILTERED_WORD}”.",
                "kind": "switch",
                "value": FILTERED_WORD in self._faults.blocked_words,
            }
        )
        shown.append(
            {
                "name": "gateway_drop",
                "label": "Cut the connection",
                "about": "The bot loses Discord for a moment and comes back; nothing is lost.",
                "kind": "action",
                "value": None,
            }
        )
        return shown + [one for one, _ in self._actions.values()]

    async def set(self, name: str, value: Any) -> list[dict[str, Any]]:
        """Set a switch or run an action; returns all of them as they are now.

        Raises:
            LookupError: there is no switch or action of that name.
        """
        if name == "rate_limit":
            self._faults.random_429s = bool(value)
        elif name == "word_filter":
            (self._faults.blocked_words.add if value else self._faults.blocked_words.discard)(FILTERED_WORD)
        elif name == "gateway_drop":
            await self._drop_gateway()
        elif name in self._actions:
            await self._actions[name][1](value)
        else:
            source = next((one for one in self._sources if name in {each["name"] for each in one.describe()}), None)
            if source is None:
                raise LookupError(f"there is no switch or action {name}")
            done = source.set(name, value)
            if isinstance(done, Awaitable):
                await done
        self.changed()
        return self.describe()

    def changed(self) -> None:
        """Send the present values to every open page."""
        self._push("faults", {"faults": self.describe()})
