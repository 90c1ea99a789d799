"""A finished run that is trained further: what is planned, and what that is compared with."""

from __future__ import annotations

from pathlib import Path

from fastai.learner import Learner

from quickvision.base.errors import RunError
from quickvision.results.predictions import get_preds
from quickvision.runs.progress import Progress
from quickvision.training.settle import judge_again


def how_to_go_further(path: Path) -> str:
    """Say how a finished run is trained further."""
    return (
        f"resume({str(path)!r}, more_epochs=3) trains it further, or: quickvision resume"
        f" {path} --more-epochs 3"
    )


def check_finished(path: Path, progress: Progress) -> None:
    """See that a run can be trained further.

    Raises:
        RunError: It was stopped. Nothing says whether more epochs are meant beside those that it
            lacks, as when the same command is given again after a kill.
    """
    if not progress.is_finished:
        raise RunError(
            f"expected a finished run to train further, got {path}, which was stopped"
            f" {progress.where}; finish it with resume({str(path)!r}) (quickvision resume {path}),"
            " and then give more epochs, if it lacks them still"
        )


def plan_more(learn: Learner, progress: Progress, epochs: int, *, judged: bool) -> str:
    """Plan a further stage, and take down what it will be compared with.

    Args:
        learn: The learner, with the weights that the run ended with; it stays as it is.
        progress: Of a finished run; gets the stage, and what is known before it.
        epochs: Of all layers.
        judged: Rates and end of the stage go by left-out training pictures, where its head was
            solved; how good heads are on these is found out anew, unless all that went before is
            the frozen stage, which has just said so.

    Returns:
        What is planned, in a few words.
    """
    last = progress.stages[-1].name
    progress.right[last] = get_preds(learn).right.tolist()
    if judged and progress.solved is not None and last != "frozen":
        progress.solved = judge_again(learn, progress.solved)
    name = progress.plan_more(epochs)
    return f"{epochs} more epoch{'' if epochs == 1 else 's'} of all layers, as stage {name}"
