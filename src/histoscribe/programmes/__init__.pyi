from .programmes import Programmes as Programmes
