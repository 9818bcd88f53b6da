from .classifier import UNKNOWN as UNKNOWN, Classifier as Classifier
