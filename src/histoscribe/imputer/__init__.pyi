from .imputer import Imputer as Imputer
from .settings import ImputerSettings as ImputerSettings
