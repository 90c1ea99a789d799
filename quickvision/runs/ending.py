"""The end of a run: its model looked at once, and what was seen written down."""

from __future__ import annotations

from pathlib import Path

from fastai.learner import Learner

from quickvision.base.errors import warn
from quickvision.base.figures import clocked
from quickvision.base.processes import rank
from quickvision.base.versions import versions
from quickvision.models.zoo import arch_name
from quickvision.results.predictions import get_preds
from quickvision.runs.config import Spec
from quickvision.runs.folder import save_results
from quickvision.runs.kept import Kept, keep, keep_heat, look_at_data
from quickvision.runs.progress import Progress
from quickvision.runs.run import Run
from quickvision.runs.script import write_script


def end(learn: Learner, path: Path, spec: Spec, progress: Progress) -> Run:
    """Look at the validation pictures once, and write down what was seen.

    Tables come first, the report last: where the report cannot be made, nothing else is lost, and
    a `DataWarning` says so.

    Args:
        learn: The trained learner.
        path: The run's folder.
        spec: What was asked for.
        progress: All that has been done.

    Raises:
        RunError: The tables cannot be written.
    """
    asked = spec.train
    with clocked(progress.timing, "report"):
        preds = get_preds(learn, tta=asked.tta, seed=asked.seed)
        checked = asked.report and spec.pictures.get("check", True) and rank() == 0
        run = Run(
            path=path,
            spec=spec,
            arch=arch_name(learn),
            preds=preds,
            progress=progress,
            data=look_at_data(learn, checked=checked),
            versions=versions(),
            code=str(write_script(learn, spec, progress.stages, path / "split.csv")),
            build=lambda: learn,
        )
        if rank() == 0:
            save_results(run)
            if asked.report:
                _report(run)
    if rank() == 0:
        kept = (run.arch, Path(learn.dls.path), progress, run.data, run.versions, run.code)
        keep(path, Kept(*kept))
    return run


def _report(run: Run) -> None:
    """Write the report, and what it needs later; an hour of training is not lost over it."""
    try:
        keep_heat(run.path, run.learn, run.preds)
        run.report()
    except Exception as error:
        warn(
            f"the report was not written: {error!r}; all else is in {run.path}, and"
            f" load_run({str(run.path)!r}).report() tries again"
        )
