"""One page about a trained model: card, leaderboard, plots, pictures. Self-contained: it loads nothing from anywhere.

The plots stand beside it as PNG files too. Every text is escaped: labels and names are data.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from model_training.evaluation import plots
from model_training.evaluation.confusion import Confusion
from model_training.evaluation.curves import Curve
from model_training.evaluation.history import read_history
from model_training.evaluation.page_style import STYLE
from model_training.workspaces.base import TrialResult
from scoring.files import write_bytes
from scoring.images import open_image

PAGE = "report.html"
HEADLINES = 4  # numbers of the card that stand large at the top
PICTURE_SIDE = 720  # pixels
VARIED = 5  # hyperparameters in the leaderboard

# an inline style sheet and pictures in the page itself, nothing else
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def write_page(
    folder: Path,
    *,
    title: str,
    card: Mapping[str, Any],
    leaderboard: Sequence[TrialResult],
    curves: Sequence[Curve],
    confusion: Confusion,
    pictures: Sequence[Path],
) -> Path:
    """`report.html` and its plots as PNG in `folder`; returns the page. `leaderboard` has the best trial first.

    The first numbers of `card` become headlines; a mapping of mappings in it (`per label`) becomes a table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [_trial_name(trial) for trial in leaderboard]
    histories = [read_history(trial.folder, name) for trial, name in zip(leaderboard, names, strict=True)]
    figures = {
        "precision_recall": plots.precision_recall(curves),
        "f1_by_threshold": plots.f1_by_threshold(curves),
        "confusion_matrix": plots.confusion_matrix(confusion),
    }
    if any(history.loss or history.metric for history in histories):
        figures = {"learning_curves": plots.learning_curves(histories, names[0]), **figures}
    for name, figure in figures.items():
        write_bytes(folder / f"{name}.png", plots.to_png(figure))
    parts = [
        _card(card),
        _section("Leaderboard", _leaderboard(leaderboard)),
        _section("Plots", _plots({name: plots.to_svg(figure) for name, figure in figures.items()})),
        _section("Held-out images", _pictures(pictures)),
    ]
    page = folder / PAGE
    write_bytes(page, _document(title, "".join(parts)).encode("utf-8"))
    return page


def _document(title: str, body: str) -> str:
    name = escape(title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{name}</title>'
        f'<meta name="viewport" content="width=device-width"><meta http-equiv="Content-Security-Policy" '
        f'content="{_POLICY}"><style>{STYLE}</style></head>\n<body><main><h1>{name}</h1>{body}</main></body></html>\n'
    )


def _section(title: str, inner: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{inner}</section>" if inner else ""


def _card(card: Mapping[str, Any]) -> str:
    tables = {name: value for name, value in card.items() if _is_table(value)}
    plain = {name: value for name, value in card.items() if name not in tables and not _is_empty(value)}
    large = dict([(name, value) for name, value in plain.items() if isinstance(value, float)][:HEADLINES])
    tiles = "".join(f"<div><b>{_text(value)}</b><span>{escape(name)}</span></div>" for name, value in large.items())
    rows = "".join(
        f"<dt>{escape(name)}</dt><dd>{_text(value)}</dd>" for name, value in plain.items() if name not in large
    )
    below = "".join(_section(name.capitalize(), _table_of(value)) for name, value in tables.items())
    return f'<div class="tiles">{tiles}</div><dl>{rows}</dl>{below}'


def _leaderboard(trials: Sequence[TrialResult]) -> str:
    if not trials:
        return ""
    varied = _varied(trials)
    header = ["trial", "status", "mAP", "COCO AP", "best epoch", "CPU s", *varied, "note"]
    rows = [
        [
            _trial_name(trial),
            trial.status,
            trial.metrics.get("mean_average_precision"),
            trial.metrics.get("coco_ap"),
            f"{trial.best_epoch} of {trial.epochs}",
            round(trial.cpu_seconds),
            *(trial.hyperparameters.get(name) for name in varied),
            trial.reason,
        ]
        for trial in trials
    ]
    return _table(header, rows)


def _varied(trials: Sequence[TrialResult]) -> list[str]:
    """The hyperparameters in which the trials differ, as far as there is room."""
    names = sorted({name for trial in trials for name in trial.hyperparameters})
    return [name for name in names if len({str(trial.hyperparameters.get(name)) for trial in trials}) > 1][:VARIED]


def _trial_name(trial: TrialResult) -> str:
    return f"trial {trial.number}"


def _table_of(rows: Mapping[str, Mapping[str, Any]]) -> str:
    columns = list(next(iter(rows.values())))
    header = ["", *(column.replace("_", " ") for column in columns)]
    return _table(header, [[name, *(row.get(column) for column in columns)] for name, row in rows.items()])


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _plots(svgs: Mapping[str, str]) -> str:
    return '<div class="plots">' + "".join(f'<figure class="{n}">{svg}</figure>' for n, svg in svgs.items()) + "</div>"


def _pictures(paths: Sequence[Path]) -> str:
    figures = "".join(
        f'<figure><img alt="{escape(path.name)}" src="data:image/jpeg;base64,{_small_jpeg(path)}">'
        f"<figcaption>{escape(path.name)}</figcaption></figure>"
        for path in paths
    )
    return f'<div class="pictures">{figures}</div>' if figures else ""


def _small_jpeg(path: Path) -> str:
    image = open_image(path)
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(row, Mapping) for row in value.values())


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | Mapping) and not value)


def _text(value: Any) -> str:
    """Numbers short, nothing as a dash, mappings as `name: value`; escaped."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(name))}: {_text(inner)}" for name, inner in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    return escape(str(value))
