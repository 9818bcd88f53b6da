from .benchmark import (
    TASKS as TASKS,
    imputer_benchmark as imputer_benchmark,
    spots_benchmark as spots_benchmark,
)
from .heldout import HeldOut as HeldOut, Restore as Restore, hold_out as hold_out
from .spots import hold_section as hold_section
