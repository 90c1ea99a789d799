"""Four sentences made from the numbers: how good, what it confuses, wrong labels, how sure."""

from __future__ import annotations

import numpy as np
import pandas as pd

from quickvision.base.figures import Accuracy
from quickvision.report.outcome import Outcome
from quickvision.results.calibration import Calibration
from quickvision.results.predictions import Predictions, most_confused

SURE = 0.05  # p-value below which a difference is called more than chance
TWICE = 1.96  # standard deviations, the same


def sentences(outcome: Outcome, found: Calibration) -> list[str]:
    """Say the result in four sentences, for people who read nothing else.

    Accuracy with its interval, and whether the last stage helped; the worst pair with its share;
    how many labels look wrong; whether the probabilities are true.

    Args:
        outcome: What came out.
        found: How true its probabilities are.
    """
    preds = outcome.preds
    said = [how_good(preds.accuracy, outcome.stages), worst_pair(preds)]
    said += [wrong_labels(outcome.suspects)] if outcome.suspects is not None else []
    return [*said, how_sure(preds, found)]


def how_good(accuracy: Accuracy, stages: pd.DataFrame) -> str:
    """Say the accuracy, and what the last stage made of it."""
    low, high = accuracy.interval
    text = (
        f"It names the right class for {accuracy.correct:,} of {accuracy.n:,} pictures that it was"
        f" not trained on: {accuracy.value:.1%}, and for all such pictures most likely"
        f" between {low:.1%} and {high:.1%}"
    )
    last = stages.iloc[-1] if len(stages) else None
    if last is None or np.isnan(last["gained"]):
        return f"{text}."
    gained = last["gained"]
    chance = "" if last["p_value"] < SURE else ", which may be chance"
    if abs(gained) < 0.0005:
        return f"{text}; the {last['stage']} stage has changed nothing about that."
    how = "brought" if gained > 0 else "cost"
    return f"{text}; the {last['stage']} stage {how} {_points(gained)} of it{chance}."


def worst_pair(preds: Predictions) -> str:
    """Say what is mistaken for what most often, and how often that is."""
    pairs = most_confused(preds)
    if pairs.empty:
        return "It confuses nothing with anything here."
    actual, predicted, count = pairs.iloc[0]
    of_class = int((preds.targs == preds.vocab.index(actual)).sum())
    wrong = int((~preds.right).sum())
    if len(pairs) > 1 and pairs["count"].iloc[1] == count == 1:
        return f"No two classes are confused more than once; {_n(wrong, 'picture')} are wrong."
    return (
        f"Most often it takes {actual} for {predicted}: {count:,} of {_n(of_class, 'picture')}"
        f" ({count / max(of_class, 1):.0%}), and {count:,} of its {_n(wrong, 'mistake')}."
    )


def wrong_labels(suspects: pd.DataFrame) -> str:
    """Say how many labels look wrong."""
    if not len(suspects):
        return "No label looks wrong."
    if len(suspects) == 1:
        return "One label is doubtful: pictures that look like this one have another."
    return f"{len(suspects):,} labels are doubtful: pictures that look like these have others."


def how_sure(preds: Predictions, found: Calibration) -> str:
    """Say whether the probabilities are true, and by how much they are off if not."""
    said = preds.probs.max(axis=1).astype(np.float64)
    off = found.confidence - found.accuracy
    chance = float(np.sqrt((said * (1 - said)).sum())) / len(
        said
    )  # of a model that tells the truth
    figures = f"on average it says {found.confidence:.1%}, and is right {found.accuracy:.1%}"
    figures += " of the time"
    if abs(off) > TWICE * chance:
        how = "too sure of itself" if off > 0 else "less sure than it could be"
        return f"It is {how}, by {_points(off)}: {figures}."
    if found.ece > found.ece_chance_most:
        return (
            f"It is sure at the wrong places: {figures}, but its calibration error is"
            f" {found.ece:.1%}, where chance gives up to {found.ece_chance_most:.1%}."
        )
    return f"Its probabilities are true, as far as {_n(found.n, 'picture')} can tell: {figures}."


def _points(share: float) -> str:
    said = f"{abs(100 * share):.1f}"
    return f"{said} point{'' if said == '1.0' else 's'}"


def _n(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
