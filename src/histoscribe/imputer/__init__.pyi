from .imputer import Imputer as Imputer
