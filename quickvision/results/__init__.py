"""What a model got right and wrong, as tables and pictures. Trains nothing, writes no run folder.

    losses        the loss of each picture, whatever the loss
    predictions   the one inference pass, and pure functions of it
    calibration   are the probabilities true, and the temperature that makes them so
    embeddings    what a pretrained body says of the pictures, kept with the run
    plots         data in, `Axes` out; the only file that imports pyplot
    comparison    which model is better, and is it sure: McNemar, Holm, the table

Others may ask: all of them.
"""
