"""What was done here as a Python script and as commands of the shell that write the same tables again."""

from __future__ import annotations

import csv
import io
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from napari.components import ViewerModel

from histoscribe import __version__
from histoscribe.errors import RegionError, SettingError
from histoscribe.files import replacing
from histoscribe.formats import kind_of
from histoscribe.models import read_card
from histoscribe.progress import Progress
from histoscribe.section import Section, write_section
from histoscribe.section.cohort import REQUIRED
from histoscribe.slide import open_slide
from histoscribe.tiles import Region, regions_text
from histoscribe.tiles.regions import UNCLASSIFIED
from histoscribe.widgets.layers.layers import COMPARED, DERIVED, is_same, known_section, section_of, slide_of
from histoscribe.widgets.layers.making import (
    MADE,
    Recipe,
    Training,
    commands,
    place_of,
    trained_in,
    written_in,
)
from histoscribe.widgets.layers.painting import painted_layers
from histoscribe.widgets.layers.regions import is_region_layer, regions_of
from histoscribe.widgets.parts.fields import is_section

_HEAD = '''"""What was done in a window of Histoscribe {version}, done again.

It reads what was opened where it lay, and writes into {stem}.out beside this file; {stem}.sh does the same.
"""

from pathlib import Path

import histoscribe
{imports}
HERE = Path(__file__).resolve().parent
FILES, OUT = HERE / "{stem}.files", HERE / "{stem}.out"
OUT.mkdir(exist_ok=True)


def same(model, sha256):
    """The model, if it is the one that was used."""
    if model.card.sha256 != sha256:
        raise SystemExit(f"this is another model than the one used, whose SHA-256 is {{sha256}}")
    return model


'''
_SHELL = """#!/bin/sh
# What was done in a window of Histoscribe {version}, done again; {stem}.py does the same.
set -e
cd "$(dirname "$0")"
mkdir -p {out}
"""
HOMES = {
    "compare": "evaluation", "gene_scores": "evaluation", "write_scores": "evaluation",
    "classes_of": "evaluation", "differential_genes": "evaluation", "class_neighbourhood": "evaluation",
    "morans_i": "evaluation", "expression_clusters": "evaluation",
    "completed": "imputer", "write_restored": "imputer", "pseudo_bulk": "generator",
    "write_generated": "generator", "region_at": "tiles", "align": "section", "lay_on": "section",
}  # fmt: skip
"""Where a script imports from."""
_PAST = {"predict": "predicted", "compare": "compared", "impute": "restored", "generate": "generated"}
_PAST |= {"align": "laid", "differ": "differing", "neighbour": "neighbours", "moran": "patterns"}


@dataclass(eq=False)
class Script:
    """A script while it is written: each thing after what it is made of."""

    viewer: ViewerModel
    stem: str
    """Of the files' names."""
    python: list[str] = field(default_factory=list)
    shell: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    """GeoJSON beside the script, by name."""
    tables: dict[str, Section] = field(default_factory=dict)
    """Sections that lie in no file, by the name of theirs beside the script."""
    models: dict[Path, Path] = field(default_factory=dict)
    """Folders that are trained again, by the folder that was trained here."""
    _names: dict[int, str] = field(default_factory=dict)
    _words: dict[int, list[str]] = field(default_factory=dict)

    def name_of(self, thing: Any) -> str:
        """The variable that holds a thing, which is opened or made before."""
        step, key = MADE.get(thing), _key(thing)
        if key not in self._names:
            inputs = {role: self.name_of(one) for role, one in step.inputs.items()} if step else {}
            word = f"{next(iter(inputs.values()))}_{_PAST[step.verb]}" if step else thing.name
            name = self._names[key] = self._fresh(word)
            self.python += self._made(step, name, inputs) if step else [self._opened(thing, name)]
        return self._names[key]

    def words_of(self, thing: Any) -> list[str]:
        """How the shell names a thing, which is written before."""
        name = self.name_of(thing)
        if _key(thing) not in self._words:
            self.write(thing, f"{name}{'.csv' if MADE[thing].verb == 'compare' else '.h5ad'}")
        return self._words[_key(thing)]

    def write(self, thing: Any, file: str, genes: tuple[str, ...] | None = None) -> None:
        """Write a file of a thing."""
        name, step, whole = self.name_of(thing), MADE.get(thing), file.endswith(".h5ad")
        out = f"{self.stem}.out/{file}"
        if step and "imputer" in step.models and not all(map(is_section, step.inputs.values())):
            self.shell.append(f"# no command restores a bulk table first: only {self.stem}.py writes {out}")
        elif step and step.classes:
            self.shell.append(f"# no command compares regions: only {self.stem}.py writes {out}")
        elif step and (whole or not is_section(thing)):
            models = {role: self.models.get(folder, folder) for role, folder in step.models.items()}
            again = replace(step, models=models)
            self.shell += map(shlex.join, commands(again, self.words_of, partial(self._beside, name), out))
            if whole or step.verb == "compare":
                self._words.setdefault(_key(thing), [out])
        elif genes == () and not whole:
            self.shell.append(f"# no verb writes {out}, a table without any gene")
        else:
            named = [] if whole else [part for gene in genes or () for part in ("--gene", gene)]
            self.shell.append(shlex.join(["histoscribe", "convert", *self.words_of(thing), out, *named]))
        if step and step.classes:
            self.python.append(f"{name}.to_csv(OUT / {file!r})")
            return
        call = f"histoscribe.write({name}"
        if step and step.verb == "compare":
            call = f"write_scores({name}"
        elif step and step.verb == "generate":
            call = f"write_generated({name}"
        elif step and not is_section(thing) and not (whole and thing.section is not None):
            call = f"write_restored({name}_table"
        limit = "" if genes is None or whole else f", genes={list(genes)!r}"
        self.python.append(f"{call}, OUT / {file!r}{limit})")

    def learn(self, training: Training) -> None:
        """Train a predictor again."""
        folder = training.folder.name
        name = self._names[id(training)] = self._fresh(f"{folder}_model")
        cohort = str(training.cohort)
        opened = f"histoscribe.open({cohort!r})"
        if training.cohort is None:
            rows = io.StringIO()
            lines = csv.writer(rows, lineterminator="\n")
            lines.writerow(REQUIRED)
            for one, patient in training.sections.items():
                place, *of_cohort = self.words_of(one)
                if of_cohort:
                    place = f"{self.name_of(one)}.h5ad"
                    self.tables[place] = one
                elif not Path(place).is_absolute():
                    place = f"../{place}"
                lines.writerow((one.name, patient, place))
            self.texts[f"{folder}.csv"] = rows.getvalue()
            cohort, opened = f"{self.stem}.files/{folder}.csv", f'histoscribe.open(FILES / "{folder}.csv")'
        settings = ", ".join(f"{key}={value!r}" for key, value in training.settings.items())
        card = "".join(f", {key}={value!r}" for key, value in training.card.items() if value)
        sha256 = read_card(training.folder).sha256
        self.python += [
            f"{name} = histoscribe.Predictor({settings}).fit({opened})",
            f"same({name}, {sha256!r}).save(OUT / {folder!r}{card})",
        ]
        self.models[training.folder] = out = Path(f"{self.stem}.out", folder)
        words = ["histoscribe", "train", "predictor", cohort]
        for key, value in {**training.settings, **training.card, "out": out}.items():
            words += [f"--{key.replace('_', '-')}", str(value)] if value else []
        self.shell.append(shlex.join(words))

    def cluster(self, thing: Any, found: Mapping[str, float]) -> None:
        """Put clusters into a section's table."""
        name = self.name_of(thing)
        for column, resolution in found.items():
            call = f"expression_clusters({name}, resolution={resolution!r})"
            line = f"{name}.table.obs[{column!r}] = {call}"
            if line not in self.python:
                self.python.append(line)
                self.shell.append(f"# no command finds clusters: only {self.stem}.py writes them")

    def draw(self, name: str, regions: Any) -> None:
        """Lay regions beside the script."""
        self.texts[f"{name}.geojson"] = regions_text(regions)

    def _fresh(self, word: str) -> str:
        plain = re.sub(r"\W+", "_", word, flags=re.ASCII).strip("_") or "thing"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        taken = [name for name in self._names.values() if re.fullmatch(rf"{plain}(_\d+)?", name)]
        return f"{plain}_{len(taken) + 1}" if taken else plain

    def _opened(self, thing: Any, name: str) -> str:
        bins = is_section(thing) and thing.spot_um == thing.pitch_um  # of which a file may hold several sizes
        place, more = None if bins else place_of(self.viewer, thing), ""
        if place is None and not is_section(thing):
            raise SettingError("lies in no file", where=thing.name, remedy="save it and open it from there")
        if place is None:
            self.tables[f"{name}.h5ad"] = thing
            self._words[_key(thing)] = [f"{self.stem}.files/{name}.h5ad"]
            return f'{name} = histoscribe.open(FILES / "{name}.h5ad")'
        self._words[_key(thing)] = [str(place)]
        if kind_of(place) == "cohort":
            self._words[_key(thing)] += ["--section", thing.name]
            every = f"histoscribe.open({str(place)!r})"
            return f"{name} = next(one for one in {every} if one.name == {thing.name!r})"
        if hasattr(thing, "levels") and open_slide(place).mpp is None and thing.mpp:
            more = f", mpp={float(thing.mpp)!r}"
            self._words[_key(thing)] += ["--mpp", repr(float(thing.mpp))]
        return f"{name} = histoscribe.open({str(place)!r}{more})"

    def _made(self, step: Recipe, name: str, inputs: dict[str, str]) -> list[str]:
        """The lines of Python that make a thing."""
        drawn = {}
        for option, outlines in step.regions.items():
            self.draw(f"{name}.{option}", [Region("", UNCLASSIFIED, one) for one in outlines])
            drawn[option] = f'histoscribe.open(FILES / "{name}.{option}.geojson")'
        asked = {key.replace("-", "_"): value for key, value in step.settings.items() if value is not None}
        if step.verb == "align":
            moving, fixed = inputs["source"], inputs["fixed"]
            return [f"{name} = lay_on({moving}, {fixed}, align({moving}.scaled_slide, {fixed}))"]
        if step.classes:
            self.draw(name, step.classes)
            source = inputs["source"]
            classes = f'classes_of({source}, histoscribe.open(FILES / "{name}.geojson"))'
            chosen = "".join(f", {one!r}" for one in asked.values())
            calls = {
                "differ": f"differential_genes({source}, {classes}{chosen})",
                "neighbour": f"class_neighbourhood({source}, {classes})",
                "moran": f'morans_i({source}, inside={classes} != "")',
            }
            return [f"{name} = {calls[step.verb]}"]
        if step.verb == "compare":
            measured, predicted = inputs["measured"], inputs["predicted"]
            return [f"{name} = gene_scores(compare({measured}, {predicted}), {predicted})"]
        if step.verb == "predict":
            device = f", device={asked.pop('device')!r}"
            guided = f".guided({inputs['target']})" if asked.pop("guide", None) else ""
            words = [inputs["target"], *(f"pitch_um={pitch!r}" for pitch in asked.values())]
            words += [f"region={outlines}" for outlines in drawn.values()]
            return [
                f"{name}_model = {self._load('Predictor', step.models['model'], device)}{guided}",
                f"{name} = {name}_model.predict({', '.join(words)})",
            ]
        if step.verb == "impute":
            model = f"histoscribe.Imputer(steps=0).fit({inputs.get('teacher')})"
            if step.models:
                model = self._load("Imputer", next(iter(step.models.values())))
            source = inputs["source"]
            return [
                f"{name}_model = {model}" + (f".fine_tune({source})" if "tuned" in step.models else ""),
                f"{name}_table = {name}_model.restore({source})",
                f'{name}_table.obsm["summary"] = {name}_model.embed({source})',
                f"{name} = completed({source}, {name}_table)",
            ]
        lines, parents = [f"{name}_model = {self._load('Generator', step.models['model'])}"], []
        if "imputer" in step.models:
            lines.append(f"{name}_imputer = {self._load('Imputer', step.models['imputer'])}")
        for role, option in (("primary", "region"), ("normal", "normal-region")):
            if role in inputs:
                parent = inputs[role]
                where = f", region_at({drawn[option]}, {parent}.centres) >= 0" if option in drawn else ""
                if "imputer" in step.models:
                    parent = f"completed({parent}, {name}_imputer.restore({parent}))"
                parents.append(f"pseudo_bulk({parent}{where})" if is_section(step.inputs[role]) else parent)
        words = [", normal=".join(parents), *(f"{key}={value!r}" for key, value in asked.items())]
        return [*lines, f"{name} = {name}_model.generate({', '.join(words)})"]

    def _load(self, kind: str, folder: Path, more: str = "") -> str:
        place = f"OUT / {folder.name!r}" if folder in self.models else repr(str(folder))
        return f"same(histoscribe.{kind}.load({place}{more}), {read_card(folder).sha256!r})"

    def _beside(self, name: str, file: str) -> str:
        return f"{self.stem}.{'files' if file.endswith('.geojson') else 'out'}/{name}.{file}"


def _key(thing: Any) -> int:
    """What a panel holds of a result and the section in it are one."""
    return id(MADE.get(thing, thing))


def script_of(viewer: ViewerModel, stem: str) -> Script:
    """Write down, on the viewer's own thread, all that was opened, made, drawn and written in it.

    What was taken away again is left out. Raises `SettingError` if nothing is open, or a table that was used
    lies in no file.
    """
    script = Script(viewer, stem)
    layers = painted_layers(viewer)
    sections = [known_section(layer) for layer in layers if DERIVED not in layer.metadata]
    slides = [one for one in map(slide_of, viewer.layers) if one is not None]
    bare = [one for one in slides if not any(is_same(section.slide, one) for section in sections)]
    compared = [layer.metadata[COMPARED] for layer in layers if COMPARED in layer.metadata]
    things = [*bare, *sections, *compared]
    if not things:
        raise SettingError("there is nothing to write down", remedy="open a section or a slide first")
    for training in trained_in(viewer):
        script.learn(training)
    for thing in things:
        script.name_of(thing)
    for one in sorted(written_in(viewer), key=lambda one: (bool(one.clusters), one.path.suffix != ".h5ad")):
        if one.of is not None:
            script.cluster(one.of, one.clusters)
            script.write(one.of, one.path.name, one.genes)
        else:
            for lines in (script.python, script.shell):
                lines.append(f"# Only a window writes {one.path.name}.")
    for thing in things:
        script.words_of(thing)  # what was made and not written yet
    beneath = next((layer for layer in viewer.layers if section_of(layer) or slide_of(layer)), None)
    for layer in filter(is_region_layer, viewer.layers):
        with suppress(RegionError):  # nothing closed is drawn
            script.draw(layer.name, regions_of(layer, beneath))
    return script


def write_script(script: Script, path: Path, progress: Progress) -> Path:
    """Write the script, its commands of the shell beside it, and what both read; runs on any thread."""
    folder, about = path.with_name(f"{script.stem}.files"), {"version": __version__, "stem": script.stem}
    body = "\n".join(script.python) + "\n"
    needed = sorted((home, name) for name, home in HOMES.items() if f"{name}(" in body)
    head = _HEAD.format(
        imports="".join(f"from histoscribe.{home} import {one}\n" for home, one in needed), **about
    )
    texts = {folder / name: text for name, text in script.texts.items()}
    shell = _SHELL.format(out=shlex.quote(f"{script.stem}.out"), **about) + "\n".join(script.shell) + "\n"
    for name, section in progress.track(script.tables.items(), "writing tables", len(script.tables)):
        write_section(section, folder / name)
    for place, text in (texts | {path: head + body, path.with_suffix(".sh"): shell}).items():
        with replacing(place) as fresh:
            fresh.write_text(text, encoding="utf-8")
    return path
