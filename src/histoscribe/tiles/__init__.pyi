from .crops import image_fineness as image_fineness, read_crops as read_crops
from .geojson import (
    DamagedRegionWarning as DamagedRegionWarning,
    is_locked as is_locked,
    marked_ellipse as marked_ellipse,
    parse_regions as parse_regions,
    read_regions as read_regions,
    regions_text as regions_text,
    with_lock as with_lock,
    write_regions as write_regions,
)
from .placing import (
    Tiles as Tiles,
    grid_tiles as grid_tiles,
    sample_tiles as sample_tiles,
    spot_tiles as spot_tiles,
)
from .regions import (
    Region as Region,
    areas as areas,
    moved_regions as moved_regions,
    region_at as region_at,
    rings_of as rings_of,
)
from .shapes import mask_regions as mask_regions, spot_regions as spot_regions
