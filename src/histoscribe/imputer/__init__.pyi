from .imputer import Imputer as Imputer
from .training.fitting import ImputerSettings as ImputerSettings
