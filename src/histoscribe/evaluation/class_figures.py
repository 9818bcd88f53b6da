"""Figures of classes of spots: a volcano, a heat map, a dot plot; genes up and down apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from histoscribe.evaluation.figures import DIFFERENCE, EXPRESSION, row, styled
from histoscribe.evaluation.regions import class_profile
from histoscribe.palette import INK, MARK, PALE, SOFT, TISSUE

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame

    from histoscribe.section import Section

EACH_WAY = 12
_NAMED = 6
_SIGNIFICANT = 0.05
_LINE, _MARGIN = 0.19, 1.0


def strongest(genes: DataFrame) -> tuple[list[str], list[str]]:
    """Of `differential_genes`, those most above and those most below the other class, strongest first."""
    ways = (genes.index[genes["effect"] > 0], genes.index[genes["effect"] < 0])
    up, down = ([str(gene) for gene in way[:EACH_WAY]] for way in ways)
    return up, down


def spread_figure(values: NDArray[np.floating], labels: NDArray[np.str_], words: str) -> Figure:
    """One gene's values, shape (spots,), by class of the spots: violins with their median; `words` beside."""
    names = sorted(set(labels.tolist()), key=lambda name: (not name, name))
    kinds = [name for name in names if np.ptp(values[labels == name])]
    with styled():
        figure, (axes,) = row(1, size=(1.6 + 0.8 * len(kinds), 3.0))
        if kinds:
            axes.violinplot([values[labels == name] for name in kinds], showmedians=True, showextrema=False)
        axes.set_xticks(range(1, len(kinds) + 1), [name or "outside" for name in kinds])
        axes.set_ylabel(words)
    return figure


def volcano_figure(genes: DataFrame) -> Figure:
    """Each gene of `differential_genes` by fold change and p value, of predictions by size of effect.

    The strongest genes are marked; of those that were tested, only where the adjusted p is below 0.05.
    """
    tested = "p_adjusted" in genes
    fold = genes["log2_fold_change"].to_numpy()
    height = -np.log10(genes["p_adjusted"].clip(lower=1e-300)) if tested else genes["effect"].abs()
    with styled():
        figure, (axes,) = row(1, size=(4.6, 3.6))
        marked = strongest(genes[genes["p_adjusted"] < _SIGNIFICANT] if tested else genes)
        chosen = np.isin(genes.index, [gene for way in marked for gene in way])
        colours = np.where(genes["effect"] > 0, MARK, TISSUE)
        axes.scatter(fold[~chosen], height[~chosen], s=7, color=PALE, linewidth=0)
        axes.scatter(fold[chosen], height[chosen], s=14, c=colours[chosen], linewidth=0)
        for way in marked:
            for gene in way[:_NAMED]:
                spot = fold[place := genes.index.get_loc(gene)], height.iloc[place]
                if np.isfinite(spot).all():
                    axes.annotate(gene, spot, (2, 2), textcoords="offset points", fontsize=7)
        axes.axvline(0, color=SOFT, linewidth=0.6)
        words = "−log10 of adjusted p" if tested else "size of effect, standard deviations"
        axes.set(xlabel="log2 fold change", ylabel=words)
    return figure


def figures_of(genes: DataFrame, section: Section, labels: NDArray[np.str_]) -> dict[str, Figure]:
    """The three figures of `differential_genes` between classes of a section's spots, by name."""
    up, down = strongest(genes)
    means, shares = class_profile(section, labels, [*up, *down])
    heat, dots = (class_figure(means, shares, len(up), dots=one) for one in (False, True))
    return {"volcano": volcano_figure(genes), "heat map": heat, "dot plot": dots}


def class_figure(means: DataFrame, shares: DataFrame, ups: int, *, dots: bool) -> Figure:
    """Genes by classes: a heat map of means in standard deviations over classes, or dots.

    `means` and `shares` as `class_profile` gives them, the first `ups` genes apart from the others. A dot's
    area is the share of spots above zero, its colour the mean.
    """
    count, kinds = means.shape
    places = np.arange(count) + (np.arange(count) >= ups) * 0.8
    with styled():
        figure, (axes,) = row(1, size=(2.1 + 0.5 * kinds, _MARGIN + _LINE * (count + 1)))
        values = means.to_numpy()
        across = np.broadcast_to(np.arange(kinds), values.shape)
        up = np.broadcast_to(places[:, None], values.shape)
        if dots:
            size = 4 + 130 * shares.to_numpy().ravel()
            drawn = axes.scatter(across.ravel(), up.ravel(), s=size, c=values.ravel(), cmap=EXPRESSION)
            words = "mean, log1p counts per 10,000"
        else:
            values = values - values.mean(axis=1, keepdims=True)
            values = values / np.maximum(values.std(axis=1, keepdims=True), 1e-9)
            most = float(np.abs(values).max()) or 1.0
            drawn = axes.scatter(
                across.ravel(),
                up.ravel(),
                s=170,
                marker="s",
                c=values.ravel(),
                cmap=DIFFERENCE,
                vmin=-most,
                vmax=most,
            )
            words = "standard deviations over classes"
        axes.set(xlim=(-0.6, kinds - 0.4), ylim=(places[-1] + 0.8, -0.8))
        axes.set_xticks(range(kinds), [str(name) for name in means.columns], rotation=20, ha="right")
        axes.set_yticks(places, [str(gene) for gene in means.index], fontsize=7.5)
        for label, gene in zip(axes.get_yticklabels(), range(count), strict=True):
            label.set_color(MARK if gene < ups else TISSUE)
        bar = figure.colorbar(drawn, ax=axes, shrink=0.7)
        bar.outline.set_visible(False)
        bar.set_label(words, fontsize=8, color=INK)
    return figure
