"""The four plots of a trained model, as matplotlib figures. Knows nothing about files or pages.

Texts are data: no label is read as mathematics, and a label that begins with an underscore is shown too.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from model_training.evaluation.confusion import Confusion
from model_training.evaluation.curves import ALL, Curve
from model_training.evaluation.history import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The palette of scoring.draw in its order, darkened where white paper needs it: a label keeps its colour.
COLOURS = ("#d98f00", "#1e88e5", "#d81b60", "#009e73", "#fe6100", "#785ef0", "#0aa5b8", "#7fa01f", "#793f0d", "#b8a800")
INK, QUIET, GRID = "#22303c", "#8a97a3", "#e4e9ee"
MANY = 12  # labels: beyond, a legend hides the curves
SIZE = (6.0, 4.2)  # inches
CURVE_POINTS = 400

_STYLE: dict[str, Any] = {
    "text.parse_math": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "cva",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
}


def learning_curves(histories: Sequence[History], best: str) -> Figure:
    """Loss and the validation metric by epoch, one line a trial; the trial named `best` stands out."""
    from matplotlib.ticker import MaxNLocator

    with _style():
        figure = _figure(1, 2, (10.4, 4.2))
        left, right = figure.axes
        for position, history in enumerate(sorted(histories, key=lambda each: each.name == best)):
            colour = COLOURS[position % len(COLOURS)]
            look: dict[str, Any] = {"color": colour, "alpha": 0.75}
            if history.name == best:
                look = {"color": INK, "lw": 2.6, "zorder": 3}
            name = _shown(f"{history.name} (best)" if history.name == best else history.name)
            for axes, points in ((left, history.loss), (right, history.metric)):
                axes.plot([x for x, _ in points], [y for _, y in points], label=name, **look, **_mark(points))
        _label(left, "Training loss", "epoch", "loss")
        _label(right, "Validation mean average precision (IoU .5)", "epoch", "")
        right.set_ylim(0, 1.02)
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if 1 < len(histories) <= MANY:
            right.legend(loc="lower right")
        return figure


def precision_recall(curves: Sequence[Curve]) -> Figure:
    """One curve a label, with its average precision, and the one of all labels dashed."""
    with _style():
        figure = _figure(1, 1, SIZE)
        axes = figure.axes[0]
        for position, curve in _drawn(curves):
            x, y = _thin(np.concatenate([[0], curve.recall]), np.concatenate([curve.precision[:1], curve.precision]))
            axes.step(x, y, where="pre", label=_name(curve), **_look(curve, position, len(curves)))
        _label(axes, "Precision and recall (IoU .5)", "recall", "precision")
        _unit(axes)
        _legend(axes, curves, "lower left")
        return figure


def f1_by_threshold(curves: Sequence[Curve]) -> Figure:
    """F1 of each label at every threshold, with a dot at the threshold in use."""
    with _style():
        figure = _figure(1, 1, SIZE)
        axes = figure.axes[0]
        for position, curve in _drawn(curves):
            look = _look(curve, position, len(curves))
            name = curve.name if curve.operating is None else f"{curve.name}: {curve.operating:.3g}"
            axes.plot(curve.thresholds, curve.f1, label=_shown(name), **look)
            if curve.operating is not None:
                height = float(np.interp(curve.operating, curve.thresholds, curve.f1))
                axes.plot([curve.operating], [height], "o", ms=8, mec="white", mew=1.2, color=look["color"], zorder=4)
        _label(axes, "F1 by score threshold (dot: the threshold in use)", "score threshold", "F1")
        _unit(axes)
        _legend(axes, curves, "upper right")
        return figure


def confusion_matrix(confusion: Confusion) -> Figure:
    """Counts, coloured by their share of the row: rows are what is there, columns what was said."""
    with _style():
        size = len(confusion.names)
        side = min(14.0, max(4.6, 2.2 + 0.75 * size))
        figure = _figure(1, 1, (side + 0.8, side))
        axes = figure.axes[0]
        axes.grid(False)
        axes.spines[:].set_visible(False)
        sums = confusion.counts.sum(axis=1, keepdims=True)
        shares = np.divide(confusion.counts, sums, out=np.zeros(confusion.counts.shape), where=sums > 0)
        edges = np.arange(size + 1) - 0.5
        axes.pcolormesh(edges, edges, shares, cmap="Blues", vmin=0, vmax=1, edgecolor="white", lw=1)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        names = [_shown(name if len(name) <= 24 else f"{name[:23]}…") for name in confusion.names]
        axes.set_xticks(range(size), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(size), names)
        axes.tick_params(length=0)
        if size <= 25:
            _write_counts(axes, confusion, shares)
        _label(axes, "Confusion at the threshold in use", "detected as", "object")
        return figure


def to_png(figure: Figure) -> bytes:
    return _saved(figure, format="png", dpi=150)


def to_svg(figure: Figure) -> str:
    """An `<svg>` element to stand in a page: no header, no date."""
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    text = _saved(figure, format="svg", metadata=nothing).decode("utf-8")
    return text[text.index("<svg") :]


def _saved(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with _style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a script that the font lacks is drawn as boxes
        figure.savefig(buffer, **options)
    return buffer.getvalue()


@contextlib.contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def _figure(rows: int, columns: int, size: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    figure.subplots(rows, columns, sharex=True)
    return figure


def _write_counts(axes: Axes, confusion: Confusion, shares: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    for (row, column), count in np.ndenumerate(confusion.counts):
        colour = "white" if shares[row, column] > 0.55 else (INK if count else QUIET)
        axes.text(column, row, str(count), ha="center", va="center", color=colour)


def _drawn(curves: Sequence[Curve]) -> list[tuple[int, Curve]]:
    return [(position, curve) for position, curve in enumerate(curves) if curve.recall.size or curve.f1.any()]


def _look(curve: Curve, position: int, many: int) -> dict[str, Any]:
    if curve.name == ALL:
        return {"color": INK, "ls": "--", "lw": 1.6, "zorder": 3}
    return {"color": COLOURS[position % len(COLOURS)], "alpha": 0.95 if many <= MANY else 0.5}


def _name(curve: Curve) -> str:
    value = curve.average_precision
    return _shown(curve.name if value is None else f"{curve.name}: {value:.3f}")


def _legend(axes: Axes, curves: Sequence[Curve], place: str) -> None:
    if axes.lines and len(curves) <= MANY:
        axes.legend(loc=place)
    elif not axes.lines:
        axes.text(0.5, 0.5, "no objects to draw a curve of", ha="center", color=QUIET, transform=axes.transAxes)


def _label(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _unit(axes: Axes) -> None:
    axes.set_xlim(0, 1.01)
    axes.set_ylim(0, 1.02)


def _mark(points: Sequence[tuple[int, float]]) -> dict[str, Any]:
    return {"marker": "o", "ms": 4} if len(points) < 12 else {}


def _thin(
    x: np.ndarray[Any, np.dtype[np.float64]], y: np.ndarray[Any, np.dtype[np.float64]]
) -> tuple[np.ndarray[Any, np.dtype[np.float64]], np.ndarray[Any, np.dtype[np.float64]]]:
    """At most `CURVE_POINTS`, the ends among them."""
    if len(x) <= CURVE_POINTS:
        return x, y
    kept = np.unique(np.linspace(0, len(x) - 1, CURVE_POINTS).round().astype(int))
    return x[kept], y[kept]


def _shown(name: str) -> str:
    """Matplotlib leaves names that begin with an underscore out of legends."""
    return f" {name}" if name.startswith("_") else name
