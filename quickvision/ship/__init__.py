"""A model that leaves the notebook. Never asks for the training data or the run's folder.

    predictor   answers for pictures without labels

Others may ask: predictor.
"""
