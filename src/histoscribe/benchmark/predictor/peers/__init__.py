"""The methods that the predictor stands beside, each from the descriptors and the target alone.

Every peer is a function of the training examples, the test examples and a seed; it learns once and
returns the predicted target of each test section, shape (spots, genes), and never looks at its expression.
"""
