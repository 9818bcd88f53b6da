"""What a session file may hold: every value has a type and a bound; what is unknown is dropped."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

FORMAT: Literal["histoscribe session"] = "histoscribe session"
VERSION: Literal[1] = 1
MOST_NUMBERS = 1_000_000
_MOST_ENTRIES = 2_000
_LONGEST, _LONGEST_PLAIN = 8_192, 1_000_000
_DEEPEST = 40


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a character that no text has")
    return text


def _plain(value: Any, depth: int = 0) -> Any:
    """Pass on what is made of words, numbers, lists and objects alone, within bounds and not too deep."""
    if depth > _DEEPEST:
        raise ValueError("is nested too deeply")
    if isinstance(value, dict):
        for key, one in value.items():
            _plain(key, depth + 1)
            _plain(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _plain(one, depth + 1)
    elif isinstance(value, str):
        if len(value) > _LONGEST_PLAIN or "\0" in value:
            raise ValueError("holds a text that is too long or none")
    elif isinstance(value, int | float) and not -1e12 <= value <= 1e12:
        raise ValueError("holds a number that is not possible")
    return value


Text = Annotated[str, Field(max_length=_LONGEST), AfterValidator(_without_nul)]
Number = Annotated[float, Field(ge=-1e12, le=1e12)]
Share = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Width = Annotated[float, Field(ge=0, le=1e6)]
Place = Annotated[float, Field(ge=-1e5, le=1e5)]
Pair = tuple[Number, Number]
Rgba = tuple[Share, Share, Share, Share]
Row = tuple[Number, Number, Number]
Plain = Annotated[Any, AfterValidator(_plain)]
Chosen = Annotated[dict[Text, Plain], Field(max_length=_MOST_ENTRIES)]
Names = Annotated[tuple[Text, ...], Field(max_length=_MOST_ENTRIES)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Make one of lists and numbers of any kind, within the same bounds."""
        return cls.model_validate(values, strict=False)


class Source(_Part):
    """A file that layers are made of; a slide's own scale stands in `mpp`, µm per pixel."""

    id: Text
    kind: Literal["section", "slide", "regions"]
    path: Text
    slide: Text = ""
    slide_downsample: float = Field(1.0, ge=1e-3, le=1e6)
    mpp: float | None = Field(None, ge=1e-4, le=1e4)
    name: Text
    spots: int = Field(0, ge=0, le=10**12)
    bin_um: float | None = Field(None, ge=0.1, le=1e4)


class _Drawn(_Part):
    """What lies in the file itself: every column as long as there are shapes or points."""

    face_color: tuple[Rgba, ...]
    affine: tuple[Row, Row, Row]
    units: Text
    features: dict[Text, list[Plain]]

    @model_validator(mode="after")
    def _check(self) -> Self:
        columns = [value for name, value in self if isinstance(value, tuple) and name != "affine"]
        if len({len(column) for column in (*columns, *self.features.values())}) > 1:
            raise ValueError("a column does not fit the shapes or points")
        return self


class DrawnShapes(_Drawn):
    """Shapes: corners as (row, column), one list a shape."""

    data: tuple[Annotated[tuple[Pair, ...], Field(min_length=2)], ...]
    types: tuple[Literal["polygon", "rectangle", "ellipse", "line", "path"], ...]
    edge_color: tuple[Rgba, ...]
    edge_width: tuple[Width, ...]
    metadata: dict[Text, Plain]


class DrawnPoints(_Drawn):
    """Points as (row, column)."""

    data: tuple[Pair, ...]
    size: tuple[Width, ...]


class DrawnMap(_Part):
    """A map; None for spots without a value."""

    kind: Text
    title: Text
    unit: Text
    gene: Text
    legend: Text
    values: tuple[Number | None, ...]
    limits: Pair
    colours: Text
    classes: Names


def _numbers(drawn: DrawnShapes | DrawnPoints | DrawnMap) -> int:
    """How many corners, points or spots it has."""
    if isinstance(drawn, DrawnShapes):
        return sum(map(len, drawn.data))
    return len(drawn.values if isinstance(drawn, DrawnMap) else drawn.data)


class _Shown(_Part):
    source: Text = ""
    name: Text
    visible: bool
    opacity: Share


class OpenedLayer(_Shown):
    """A layer made of a source; `affine` is how it was moved, of regions from their pixels to the world."""

    show: Literal["spots", "slide", "regions"]
    affine: tuple[Row, Row, Row] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


class ShapesLayer(_Shown):
    """A layer of drawn shapes."""

    show: Literal["shapes"] = "shapes"
    drawn: DrawnShapes


class PointsLayer(_Shown):
    """A layer of painted points."""

    show: Literal["points"] = "points"
    drawn: DrawnPoints


class MapLayer(_Shown):
    """A map of the spots of a source; `affine` is how it was moved, as its spots were where there is none."""

    show: Literal["map"] = "map"
    drawn: DrawnMap
    affine: tuple[Row, Row, Row] | None = None


KeptLayer = Annotated[OpenedLayer | ShapesLayer | PointsLayer | MapLayer, Field(discriminator="show")]


class View(_Part):
    """Genes, colours, panes and camera; `active` is the place of the active layer."""

    gene: Text
    more: Annotated[tuple[Text, ...], Field(max_length=8)]
    layout: Literal["blend", "multiples"]
    pinned: Names
    colour_map: Text
    low: Percent
    high: Percent
    shared: bool
    fixed: Annotated[dict[Text, Pair], Field(max_length=_MOST_ENTRIES)] = {}
    side_by_side: bool
    centre: Pair
    zoom: float = Field(ge=1e-9, le=1e9)
    scale_bar: bool
    active: int | None = Field(None, ge=0, le=_MOST_ENTRIES)


class KeptPanel(_Part):
    """An open panel: where it is docked, `box` as (left, top, width, height), and what is chosen in it."""

    name: Text
    area: Literal["left", "right", "top", "bottom"]
    floating: bool
    tabbed_with: Text
    front: bool
    box: tuple[Place, Place, Place, Place]
    choices: Chosen
    own: Chosen


class Session(_Part):
    """All of it; sessions of before panels were kept have none."""

    format: Literal["histoscribe session"]
    version: Literal[1]
    sources: Annotated[tuple[Source, ...], Field(max_length=_MOST_ENTRIES)]
    layers: Annotated[tuple[KeptLayer, ...], Field(max_length=_MOST_ENTRIES)]
    view: View
    panels: Annotated[tuple[KeptPanel, ...], Field(max_length=_MOST_ENTRIES)] = ()

    @model_validator(mode="after")
    def _check(self) -> Session:
        if len({one.id for one in self.sources}) < len(self.sources):
            raise ValueError("two sources have one id")
        drawn = [one.drawn for one in self.layers if not isinstance(one, OpenedLayer)]
        if sum(map(_numbers, drawn)) > MOST_NUMBERS:
            raise ValueError("its shapes and maps hold too many numbers")
        return self
