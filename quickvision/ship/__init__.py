"""A model that leaves the notebook. Needs neither the training data nor the run.

    predictor   answers for pictures without labels

Others may ask: predictor.
"""
