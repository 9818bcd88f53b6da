from .model import Slide as Slide
from .opening import open_slide as open_slide
from .pyramid import Level as Level
from .resample import Window as Window
from .write.writing import write_slide as write_slide
