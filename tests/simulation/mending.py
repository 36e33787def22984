"""What a person does about a destination that said yes and did nothing: compare and repair where it can be
read back, else everything once more.
"""

import asyncio
import json
from typing import Final

from simulation.world import Town

from router.core.jobs import State
from router.pipeline import Pipeline
from router.services.replay import commands

LOOK_S: Final = 10.0
WHY: Final = {"why": "it says that it has what it has not", "force": True}


async def mend(town: Town, pipeline: Pipeline) -> None:
    """Until each of them has all that it said it has."""
    for name in [name for name, far in town.fars.items() if far.missed]:
        what = "compare" if pipeline.workers[name].listing else "backfill"
        town.trace(f"ada starts a {what} of {name}")
        started = await _asked(town, pipeline, f"{what}.start", {"system": name, **WHY})
        id_ = started["job"]["id"]
        while pipeline.jobs.found(id_).job.state is not State.DONE:
            if pipeline.jobs.found(id_).job.state is State.PAUSED:  # beyond the limits of this town
                await _asked(town, pipeline, "replay.resume", {"id": id_, "why": "seen"})
            await asyncio.sleep(LOOK_S)
            waiting, for_others = pipeline.store.read("puts", id_)[0]
            found = pipeline.jobs.found(id_)
            if found.put == found.total > 0 and waiting == for_others > 0:
                break  # what is left of it waits for others, maybe behind a dead letter: no mend of ours


async def _asked(
    town: Town, pipeline: Pipeline, what: str, says: dict[str, object]
) -> dict[str, dict[str, str]]:
    command = next(each for each in commands(pipeline, town.loop.now_ms) if each.what == what)
    answer: dict[str, dict[str, str]] = json.loads(await command.answer("ada", json.dumps(says).encode()))
    return answer
