"""The process whose instructions are counted: ``python -m looprig.instructions.worker`` under callgrind.

The question's ``windows`` say what to count, each with ``scenario``, the number of a scenario; ``plays``, how often
it is played; and ``stops``, the numbers of turns before which a part of the window ends (the number after the last
turn ends the last part). Without stops the window is one part. Each window is a fork of its own: starting an
interpreter under valgrind takes seconds, and a fork is as it was before the first window.
"""

from __future__ import annotations

import functools
import gc
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from looprig.counted.process import answer, clock
from looprig.instructions import client
from looprig.scenario import Scenario
from looprig.subject import LoopError, described, is_coroutine_function
from looprig.workload import Workload


def _count(question: dict[str, Any], factory: Callable[..., Any], scenarios: Sequence[Scenario]) -> dict[str, Any]:
    gc.collect()
    gc.freeze()  # the scenarios are looprig's, and the loop's garbage collections need not walk through them
    windows = [functools.partial(_window, question, window, factory, scenarios) for window in question["windows"]]
    return {"windows": [_forked(window) for window in windows]}


def _window(
    question: Mapping[str, Any], window: Mapping[str, Any], factory: Callable[..., Any], scenarios: Sequence[Scenario]
) -> dict[str, Any]:
    request = client.connect()
    if not client.running(request):
        raise LoopError("the interpreter does not run under valgrind")
    end = functools.partial(client.dump, request)
    stops = dict.fromkeys(window["stops"], end)
    coroutine = False

    def watched(model: Any, tools: Any) -> Any:
        nonlocal coroutine
        loop = factory(model, tools)
        coroutine = coroutine or is_coroutine_function(getattr(loop, "send", None))
        return loop

    with Workload(functools.wraps(factory)(watched), scenarios[window["scenario"]], clock(question)) as workload:
        client.begin(request)
        workload.play()  # what is made once is made now: imports, caches, looked-up replies
        gc.collect()
        client.zero(request)
        for _ in range(window["plays"]):
            workload.play(stops)
        if not stops:
            end()
    return {"pid": os.getpid(), "coroutine": coroutine, "parts": len(stops) or 1}


def _forked(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what *work* returns in a fork of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told = work()
        except LoopError as error:
            told = {"error": str(error)}
        except BaseException as error:
            told = {"error": described(error)}
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    if not text:
        raise LoopError("its process ended while it was counted")
    told = json.loads(text)
    if "error" in told:
        raise LoopError(told["error"])
    return dict(told)


if __name__ == "__main__":
    answer(_count)
