"""What changes weights. Takes any `Learner`; knows neither folders nor reports.

    features      the frozen body asked once, the head trained on what it said
    logistic      regularised logistic regression, of any loss
    solve         the best single-layer head on these, and how much it leaves open
    guards        stops: no batch, no class, no number; out of memory: the batch in parts
    records       what an epoch leaves: a line, a row, the best weights, TensorBoard, wandb
    schedules     how the rate moves
    lr_find       a rate, and why
    trials        a few steps timed or tried: how long, how many pictures, who waits for whom
    evidence      how far the body is to move, from what the frozen head leaves open
    adapt         cached features by the statistics of the weights, or of the pictures
    settle        the end of the unfrozen stage: body and head brought together
    fit           `fit_frozen`, `fit_unfrozen`
    distributed   fastai's callback for several processes, mended (importing it needs Accelerate)

Others may ask: all of them.
"""
