from .model import Level as Level, Region as Region, Slide as Slide
from .opening import open_slide as open_slide
from .write.writing import write_slide as write_slide
