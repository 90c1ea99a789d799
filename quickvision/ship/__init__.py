"""A model that leaves the notebook. Needs neither the training data nor the run.

Nothing that is in a stranger's folder is run. What `load_model` needs for ONNX imports no torch.

    bundle         an exported folder: what its `config.json` says, written and read
    engine         what answers, and how all engines of exported folders open a picture
    pictures       which pictures are meant: a folder, a pattern, a list, a generator
    timms          a trained network under timm's names, proved by its logits
    network        from a learner to weights that fit a network of a library, and back
    preprocessing  what a learner's validation makes of a picture, said so that others can follow
    learner_engine a learner that answers
    predictor      answers for pictures without labels
    torch_engine   an exported folder that torch computes
    onnx_engine    an exported folder that onnxruntime computes
    load           `load_model`: an exported folder answers
    graph          a network as one ONNX file
    card           the model card
    verify         an exported folder, opened as others will, and asked again
    export         `export`: the folder written, checked, moved into place
    asked          any form of a model asked about pictures by name
    evaluate       `evaluate`: a model against labelled pictures that it has never seen
    sheets         a table to hand in, before it is answered: ids and pictures, columns and classes
    submit         `submit`: that table with the answers, whole or not at all

Others may ask: bundle, network, predictor, load, export.
"""
