"""Gemini's rules about the shape of a conversation, one entry of ``contents`` after the other.

Nothing is merged here: the responses to the calls of one content have to stand in the next one, all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from looprig.providers.base import Problem, Refused
from looprig.providers.gemini_items import Call, Content, Part, Response, invalid

_AFTER_USER = (
    "Please ensure that function call turn comes immediately after a user turn or after a function response turn."
)
_AFTER_CALL = "Please ensure that function response turn comes immediately after a function call turn."
_AS_MANY = (
    "Please ensure that the number of function response parts is equal to the number of function call parts of the "
    "function call turn."
)
_ENDS = "Please ensure that multiturn requests ends with a user role or a function response."


class Walk:
    """What the rules know of a conversation after its last content.

    ``role`` is that of the last content, ``open`` its calls. ``unsigned`` tells of the first content since the
    user's last text whose first call came back without its signature: its number, and the call's name.
    """

    __slots__ = ("count", "number", "open", "role", "unsigned")

    def __init__(self) -> None:
        self.count = 0
        """Messages walked so far, where it is messages that are judged."""
        self.number = 0
        """Contents walked so far."""
        self.role = ""
        self.open: list[Call] = []
        self.unsigned: tuple[int, str] | None = None

    def onward(self) -> Walk:
        """Return a walk that goes on from here and leaves this one as it is."""
        copy = Walk()
        copy.count, copy.number, copy.role, copy.open = self.count, self.number, self.role, self.open  # none is changed
        copy.unsigned = self.unsigned
        return copy

    def accepted(self) -> Walk:
        """Say that the request was accepted; of its calls no more is kept than the rules and the reader need."""
        self.open = [Call(name=call.name, id=call.id) for call in self.open]  # arguments hold on to the whole body
        return self

    def through(self, contents: Sequence[Content]) -> None:
        """Walk through *contents*.

        Raises:
            Refused: with the first fault of a content by itself, else with the first on the way.
        """
        contents = contents[self._calm(contents) :]
        problem = fields_of(contents, self.number)
        if problem is not None:
            raise Refused(problem)
        for content in contents:
            self._on(content)

    def _on(self, content: Content) -> None:
        parts = content.parts or ()
        calls = [call for part in parts if (call := part.call)]
        responses = sum(part.response is not None for part in parts)
        if calls and self.role in ("", "model"):
            raise Refused(invalid("G1", _AFTER_USER))
        if responses != len(self.open):
            raise Refused(_uneven(responses, len(self.open)))
        if calls:
            self._sign(parts, calls[0])
        self.role = content.role or "user"
        if self.role != "model" and not responses:
            self.unsigned = None
        self.open = calls
        self.number += 1

    def _calm(self, contents: Sequence[Content]) -> int:
        """Walk on as far as the conversation is of the usual kind; return how many contents that were.

        Turns alternate, keys are spelled in the usual way, and responses stand alone. Nearly every request is so from
        end to end, and this takes a fraction of the time. It refuses nothing: where it stops, the rules go on.
        """
        # Nothing but local names, because this is run for each message of each request.
        role, open_, unsigned = self.role, self.open, self.unsigned
        walked = 0
        for content in contents:
            parts = content.parts
            if content.role == role or not parts:
                break
            if content.role == "user":
                if open_:
                    if len(parts) != len(open_) or not _all_respond(parts):
                        break
                    open_ = []
                elif len(parts) > 1 or parts[0].text is None:
                    break
                else:
                    unsigned = None
            elif content.role == "model" and role:
                asked: list[Call] = []
                for part in parts:
                    if part.text is None:
                        call = part.function_call
                        if call is None or not call.name:
                            break
                        if unsigned is None and not asked and part.thought_signature is None:
                            unsigned = self.number + walked, call.name
                        asked.append(call)
                else:
                    role, open_ = "model", asked
                    walked += 1
                    continue
                break
            else:
                break
            role = "user"
            walked += 1
        self.role, self.open, self.unsigned = role, open_, unsigned
        self.number += walked
        return walked

    def _sign(self, parts: Sequence[Part], first: Call) -> None:
        """Note a content whose first call has no signature; of parallel calls only the first one has it."""
        if self.unsigned is None and not any(part.signature for part in parts if part.call is first):
            self.unsigned = self.number, first.name

    def end(self, *, signatures: bool) -> None:
        """Ask what has to hold where the conversation ends; *signatures* says whether the model wants them back.

        Raises:
            Refused: where it does not hold.
        """
        if signatures and self.unsigned:
            number, name = self.unsigned
            # That the position is the content's number, counted from 1, is read from one recorded request.
            text = (
                "Function call is missing a thought_signature in functionCall parts. This is required for tools to "
                "work correctly, and missing thought_signature may lead to degraded model performance. Additional "
                f"data, function call `default_api:{name}` , position {number + 1}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )
            raise Refused(invalid("G4", text))
        if self.role == "model":
            raise Refused(invalid("G5", _ENDS, pinned=False))  # that it is refused is recorded, the text is not


def _all_respond(parts: Sequence[Part]) -> bool:
    for part in parts:
        response = part.function_response
        if response is None or not response.name or part.text is not None:
            return False
    return True


def _uneven(responses: int, calls: int) -> Problem:
    if not calls:
        return invalid("G2", _AFTER_CALL)
    # Recorded with fewer responses than calls; that calls without any response are told so too is an inference.
    return invalid("G3", _AS_MANY, pinned=responses > 0)


def fields_of(contents: Sequence[Content], first: int) -> Problem | None:
    """Ask what is asked of each content by itself: G6 and G7; the first is number *first*."""
    for number, content in enumerate(contents, first):
        place = f"* GenerateContentRequest.contents[{number}]"
        if not content.parts:
            return invalid("G7", f"{place}.parts: contents.parts must not be empty.")
        if content.role not in _ROLES:
            # From memory.
            return invalid("G0", "Please use a valid role: user, model.", pinned=False)
        for index, part in enumerate(content.parts):
            if part.text is not None:
                continue
            named: Call | Response | None = part.response
            key = "function_response"
            if named is None:
                named, key = part.call, "function_call"
            if named is not None and not named.name:
                text = f"{place}.parts[{index}].{key}.name: Name cannot be empty."
                return invalid("G6", text, pinned=key == "function_response")
    return None


_ROLES = frozenset({None, "user", "model", "function"})
