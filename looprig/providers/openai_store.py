"""What a server of Responses remembers of its answers, so that `previous_response_id` can go on from them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import msgspec

from looprig.messages import Message
from looprig.providers.openai_items import Item, Known


class Link(msgspec.Struct, frozen=True):
    """A request or a response in a chain: what was said since the one before, and what its items were."""

    before: Link | None
    messages: Sequence[Message]
    added: Known


class Store:
    """The last *size* responses by id, those that were not asked for the longest forgotten first.

    A response that a later one goes on from lives as long as that one, though it can no longer be asked for.
    """

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._links: OrderedDict[str, tuple[Link, Mapping[str, Item]]] = OrderedDict()
        self._items: dict[str, Item] = {}

    def __len__(self) -> int:
        return len(self._links)

    def put(self, response_id: str, link: Link, items: Mapping[str, Item]) -> None:
        """Remember a response and its items."""
        self._links[response_id] = (link, items)
        self._links.move_to_end(response_id)
        self._items.update(items)
        while len(self._links) > self._size:
            _, (_, old) = self._links.popitem(last=False)
            for item_id in old:
                self._items.pop(item_id, None)

    def get(self, response_id: str) -> Link | None:
        """Return a response, or None where it is not remembered."""
        if response_id not in self._links:
            return None
        self._links.move_to_end(response_id)
        return self._links[response_id][0]

    def item(self, item_id: str) -> Item | None:
        """Return an item of a response that is remembered."""
        return self._items.get(item_id)


def chain(link: Link | None) -> tuple[list[Message], Known]:
    """Return all that was said up to a link, and what its items were."""
    links: list[Link] = []
    while link is not None:
        links.append(link)
        link = link.before
    messages: list[Message] = []
    known = Known()
    for each in reversed(links):
        messages += each.messages
        known.add(each.added)
    return messages, known
