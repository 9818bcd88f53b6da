"""Writing a section as a SpatialData folder: table, spots and image in one zarr store."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from histoscribe.errors import DependencyError, SectionError
from histoscribe.files import replacing
from histoscribe.section.model import Section
from histoscribe.section.readers.spatial_data import INSTALL

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

REGION_KEY, INSTANCE_KEY = "spatialdata_region", "spatialdata_instance"
CHUNK = 1024
SMALLEST = 512
GLOBAL, MICROMETRES = "global", "micrometers"


def write_spatial_data(
    section: Section, table: AnnData, image: NDArray[np.uint8] | None, scale: float, target: Path
) -> None:
    """Write one zarr folder; whole or not at all.

    Parameters
    ----------
    section : Section
        Its centres become circles of the spots' true diameter.
    table : AnnData
        The section's table, described; changed in place.
    image : ndarray of uint8, shape (rows, columns, 3), or None
        A reduced image of its slide.
    scale : float
        Pixels of the image per full-resolution pixel.
    target : Path
        Where to; what stands there is replaced.

    Raises
    ------
    DependencyError
        If spatialdata is not installed.
    SectionError
        If the table holds something that SpatialData cannot store.
    """
    try:
        import spatialdata
        from spatialdata.models import Image2DModel, ShapesModel, TableModel
        from spatialdata.transformations import Identity, Scale
    except ImportError as error:
        raise DependencyError(
            "writing SpatialData needs the package spatialdata", where=target, remedy=INSTALL
        ) from error

    def placed(factor: float) -> dict[str, Any]:
        """Transformations of an element whose pixel is `factor` full-resolution pixels wide."""
        wide = Scale([factor, factor], axes=("x", "y")) if factor != 1.0 else Identity()
        return {GLOBAL: wide, MICROMETRES: Scale([factor * section.mpp] * 2, axes=("x", "y"))}

    element = re.sub(r"[^A-Za-z0-9_.-]", "_", section.name).strip("._") or "section"
    table.uns.pop("spatial", None)
    numbers = np.arange(table.n_obs)
    table.obs[REGION_KEY], table.obs[INSTANCE_KEY] = element, numbers
    try:
        table.obs[REGION_KEY] = table.obs[REGION_KEY].astype("category")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            circles = ShapesModel.parse(
                np.asarray(table.obsm["spatial"], dtype=np.float64)[:, :2],
                geometry=0,
                radius=section.spot_um / section.mpp / 2,
                index=numbers,
                transformations=placed(1.0),
            )
            annotated = TableModel.parse(
                table, region=element, region_key=REGION_KEY, instance_key=INSTANCE_KEY
            )
            images = {}
            if image is not None:
                halvings = max(0, int(np.log2(max(image.shape[:2]) / SMALLEST)))
                images[f"{element}_image"] = Image2DModel.parse(
                    np.moveaxis(image, -1, 0),
                    dims=("c", "y", "x"),
                    scale_factors=[2] * halvings or None,
                    transformations=placed(1 / scale),
                    chunks=(3, CHUNK, CHUNK),
                )
            data = spatialdata.SpatialData(
                images=images, shapes={element: circles}, tables={"table": annotated}
            )
            with replacing(target) as fresh:
                data.write(fresh)
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SectionError(
            f"the table holds something that SpatialData cannot store ({reason})",
            where=target,
            remedy="rename or remove it, or write h5ad instead",
        ) from error
