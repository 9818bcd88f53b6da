"""The methods that the predictor stands beside, each from the descriptors and the target alone.

Every peer is a function of the training examples, the test example and a seed; it returns the
predicted target of the test section, shape (spots, genes), and never looks at its expression.
"""
