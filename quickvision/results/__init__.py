"""What a model got right and wrong, as tables and pictures. Trains nothing, writes no run folder.

    losses        the loss of each picture, whatever the loss
    intervals     Wilson's, of many shares at once
    predictions   the one inference pass, and pure functions of it
    calibration   are the probabilities true, and the temperature that makes them so
    embeddings    what a pretrained body says of the pictures, kept with the run
    class_maps    which places of its last map a model reads a class from
    heatmap       which places of a picture speak for a class: a learner asked
    nearest       the training pictures that are most like a given one
    suspects      labels that are worth a second look
    order         of classes, so that confusions form blocks
    fonts         that have the letters of names, for these texts alone
    matrix        the confusion matrix as it is drawn
    curves        lines as they are drawn: epochs, rates, confidence
    tiles         pictures in rows that line up, with what was said and what spoke for it
    plots         data in, `Axes` out; the only file that imports pyplot
    comparison    which model is better, and is it sure: McNemar, Holm, the table
    before_after  labels that were mended: what they did to the figure, and what the model

Others may ask: all of them.
"""
