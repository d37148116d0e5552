"""A handful of tools without side effects outside the process, for trying the loop by hand and in tests."""

from datetime import UTC, datetime
from typing import Any

from reference_loop.tools import tool, touch


def mock_tools() -> dict[str, Any]:
    """Return fresh tools by name; the notes of one set are not those of another."""
    notes: dict[str, str] = {}

    @tool(category="read", reads=())
    async def multiply(left: str, right: str) -> int:
        """Multiply two whole numbers."""
        return int(left) * int(right)

    @tool(category="read", reads=())
    async def clock() -> str:
        """Say what time it is."""
        return datetime.now(UTC).isoformat(timespec="seconds")

    @tool(category="write", writes=("note:{title}",))
    async def write_note(title: str, text: str) -> str:
        """Write a note, in place of an older one of the same title."""
        touch(f"note:{title}", write=True)
        notes[title] = text
        return f"noted {title!r}"

    @tool(category="read", reads=("note:*",))
    async def read_notes() -> dict[str, str]:
        """Read all notes."""
        touch("note:*")
        return dict(notes)

    @tool(category="destructive", writes=("note:{title}",))
    async def delete_note(title: str) -> str:
        """Delete a note for good."""
        touch(f"note:{title}", write=True)
        del notes[title]
        return f"deleted {title!r}"

    return {each.name: each for each in (multiply, clock, write_note, read_notes, delete_note)}
