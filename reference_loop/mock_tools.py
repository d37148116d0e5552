"""A handful of tools without side effects outside the process, for trying the loop by hand and in tests."""

from datetime import UTC, datetime

from reference_loop.tools import FunctionTool, tool


def mock_tools() -> dict[str, FunctionTool]:
    """Return fresh tools by name; the notes of one set are not those of another."""
    notes: dict[str, str] = {}

    @tool(category="read")
    async def multiply(left: str, right: str) -> int:
        """Multiply two whole numbers."""
        return int(left) * int(right)

    @tool(category="read")
    async def clock() -> str:
        """Say what time it is."""
        return datetime.now(UTC).isoformat(timespec="seconds")

    @tool(category="write")
    async def write_note(title: str, text: str) -> str:
        """Write a note, in place of an older one of the same title."""
        notes[title] = text
        return f"noted {title!r}"

    @tool(category="read")
    async def read_notes() -> dict[str, str]:
        """Read all notes."""
        return dict(notes)

    @tool(category="destructive")
    async def delete_note(title: str) -> str:
        """Delete a note for good."""
        del notes[title]
        return f"deleted {title!r}"

    return {each.name: each for each in (multiply, clock, write_note, read_notes, delete_note)}
