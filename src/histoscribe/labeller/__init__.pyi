from .bags import Bag as Bag, describe_cohort as describe_cohort
from .labeller import Labeller as Labeller
from .labels import read_labels as read_labels, recognise as recognise
from .output import SlideLabels as SlideLabels, write_attention as write_attention
