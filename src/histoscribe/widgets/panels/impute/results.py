"""What can be done with restored genes: trace what carried one, map the samples, save the table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QWidget

from histoscribe.errors import HistoscribeError
from histoscribe.widgets.jobs.tasks import tell
from histoscribe.widgets.panels.impute.imputation import TABLES, carriers, write
from histoscribe.widgets.panels.impute.views import CarriersView, SampleMap

if TYPE_CHECKING:
    from histoscribe.widgets.jobs.tasks import TaskBar
    from histoscribe.widgets.panels.impute.gene_list import MissingGenes
    from histoscribe.widgets.panels.impute.imputation import Restored


class ResultButtons(QWidget):
    """Three buttons below the list of genes.

    Parameters
    ----------
    genes : MissingGenes
        Its marked gene is the one that is traced.
    tasks : TaskBar
    """

    def __init__(self, genes: MissingGenes, tasks: TaskBar) -> None:
        super().__init__()
        self._genes, self._tasks = genes, tasks
        self._restored: Restored | None = None
        self.views: list[QWidget] = []
        self.carried_button = QPushButton("What carried it")
        self.carried_button.setToolTip("The observed genes that the marked gene was restored from")
        self.map_button = QPushButton("Map of samples")
        self.map_button.setToolTip("The model's summary of each sample or spot, coloured by class")
        self.save_button = QPushButton("Save…")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for button in (self.carried_button, self.map_button, self.save_button):
            layout.addWidget(button)
        self.carried_button.clicked.connect(self.explain)
        self.map_button.clicked.connect(self.show_map)
        self.save_button.clicked.connect(lambda: self.save())

    def show_what_applies(self, restored: Restored | None) -> None:
        """Work on these restored genes; on none, nothing can be pressed."""
        self._restored = restored
        free = restored is not None and not self._tasks.running
        self.map_button.setEnabled(free)
        self.save_button.setEnabled(free)
        self.carried_button.setEnabled(free and bool(self._genes.marked))

    def explain(self) -> None:
        """Trace which observed genes carried the marked one."""
        gene, restored = self._genes.marked, self._restored
        if restored is not None and gene:
            self._tasks.run(
                partial(carriers, restored, gene), lambda weights: self._show(CarriersView(gene, weights))
            )

    def show_map(self) -> None:
        """Draw the summary of each sample."""
        if self._restored is not None:
            self._show(SampleMap(self._restored.table, self._restored.request.source.name))

    def save(self, path: Path | None = None) -> None:
        """Write the restored table; asks for a file where none is given."""
        if self._restored is None:
            return
        if path is None:
            asked, _ = QFileDialog.getSaveFileName(self, "Restored table", "restored.h5ad", TABLES)
            if not asked:
                return
            path = Path(asked)
        try:
            write(self._restored, path)
        except HistoscribeError as error:
            tell(error)

    def _show(self, view: QWidget) -> None:
        view.setParent(self, view.windowFlags())
        self.views.append(view)
        view.show()
