"""From a batch of videos to committed rows, in four steps that may overlap with those of other batches.

    prepare             fetch, probe, decode the sound into scratch       waits for disks and ffmpeg
    compute_emissions   utterances go to the beam search pool             holds the GPU lane
    finish              words, and the stages that stand on them          waits for the pool
    commit              rows in the lake

A fault of one video becomes its row (`failed`, with a reason) and never its batch's; only `StorageBusy` of the lake,
`DecoderDied` and faults of the machine leave a step, to be tried again or to end the run.
"""

from tasks.runs.pipeline.emissions import compute_emissions
from tasks.runs.pipeline.finish import commit_batch, discard, finish
from tasks.runs.pipeline.prepare import prepare
from tasks.runs.pipeline.refresh import refresh
from tasks.runs.pipeline.state import Batch, Pipeline, PreparedVideo

__all__ = [
    "Batch",
    "Pipeline",
    "PreparedVideo",
    "commit_batch",
    "compute_emissions",
    "discard",
    "finish",
    "prepare",
    "refresh",
]
