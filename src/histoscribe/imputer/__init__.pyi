from .imputer import Imputer as Imputer
from .result import completed as completed, write_restored as write_restored
from .training.fitting import ImputerSettings as ImputerSettings
