"""An image beside its maps, each with its colour bar."""

from pathlib import Path

import cv2
import matplotlib
import numpy as np
from jaxtyping import Float, Float32, UInt8
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm, Normalize, to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from iqa_jax.analysis.maps import Maps

# Matplotlib reads $…$ as mathematics, which file names and labels are not.
_PLAIN = {"parse_math": False}
_UNSEEN = "#c8c8c8"
# Inches: a panel's width, the gaps around panels, and what stands above and below a photograph.
_PANEL, _GAP, _ABOVE, _BELOW, _BAR = 3.2, 0.12, 0.62, 0.6, 0.11


def draw_overlays(
    path: Path,
    image: UInt8[np.ndarray, "h w 3"],
    size: tuple[int, int],
    maps: Maps,
    *,
    title: str,
    explains: str,
    score_range: tuple[float, float],
) -> None:
    """Writes a PNG of the photograph and the maps laid over it.

    Args:
        path: the file.
        image: the photograph, or a smaller copy of it.
        size: height and width of the photograph in pixels.
        maps: of the photograph; what no tile covers is drawn grey.
        title: what the image is called and what it was given.
        explains: what the Grad-CAM shows.
        score_range: the ends of the score's colours, worst and best.
    """
    # Very long photographs are drawn in a panel that a page can still show.
    photo_height = _PANEL * min(max(size[0] / size[1], 0.2), 2.0)
    panels = 4 if maps.anomaly is None else 5
    page = (panels * (_PANEL + _GAP) + _GAP, photo_height + _ABOVE + _BELOW)
    figure = Figure(figsize=page, dpi=110, facecolor="white")
    FigureCanvasAgg(figure)

    def add_axes(panel: int, bottom: float, height: float, margin: float = 0.0):
        left = _GAP + panel * (_PANEL + _GAP) + margin
        width = _PANEL - 2 * margin
        inches = np.array([left, bottom, width, height])
        return figure.add_axes(tuple(inches / np.array([*page, *page])))

    def lay(panel: int, values: np.ndarray, heading: str, unit: str, colours: str, norm, alpha):
        axes = add_axes(panel, _BELOW, photo_height)
        extent = (0, size[1], size[0], 0)
        axes.imshow(image if values is None else _darken(image), extent=extent)
        axes.set_axis_off()
        axes.set_title(heading, fontsize=9, **_PLAIN)
        if values is None:
            return
        colour_map = matplotlib.colormaps[colours]
        pixels = colour_map(norm(np.nan_to_num(values, nan=norm.vmin)))
        pixels[..., 3] = alpha
        pixels[np.isnan(values)] = to_rgba(_UNSEEN)
        axes.imshow(pixels, extent=extent)
        bar = figure.colorbar(
            ScalarMappable(norm, colour_map),
            cax=add_axes(panel, _BELOW - 1.6 * _BAR, _BAR, margin=0.3),
            orientation="horizontal",
        )
        bar.set_label(unit, fontsize=8, labelpad=1)
        bar.ax.tick_params(labelsize=8, pad=2)
        if isinstance(norm, LogNorm):
            ends = (norm.vmin, norm.vmin**0.5, 1, norm.vmax**0.5, norm.vmax)
            bar.ax.xaxis.set_major_locator(FixedLocator(ends))
            bar.ax.xaxis.set_minor_locator(NullLocator())
            bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:.3g}"))

    figure.text(_GAP / page[0], 1 - 0.14 / page[1], title, fontsize=11, va="top", **_PLAIN)
    lay(0, None, "photograph", "", "", None, None)
    scale = Normalize(*score_range, clip=True)
    lay(1, maps.tile_scores, "tile scores", "higher is better", "RdYlBu", scale, 0.6)
    attention, norm = maps.attention, _attention_norm(maps.attention)
    is_even = np.nanmax(attention) - np.nanmin(attention) < 1e-4
    heading = "attention: the same for all tiles" if is_even else "attention"
    lay(2, attention, heading, "times an equal share", "PuOr_r", norm, 0.6)
    highest = float(np.nanmax(maps.grad_cam))
    heading = explains if highest > 0 else f"nothing {explains.removeprefix('what ')}"
    norm = Normalize(0, highest if highest > 0 else 1)
    # Where nothing is relevant the photograph shows through.
    alpha = 0.1 + 0.7 * np.nan_to_num(maps.grad_cam) / norm.vmax
    lay(3, maps.grad_cam, f"Grad-CAM: {heading}", "relevance", "inferno", norm, alpha)
    if maps.anomaly is not None:
        norm = Normalize(0, float(np.nanmax(maps.anomaly)))
        lay(4, maps.anomaly, "anomaly", "distance from good tiles", "viridis", norm, 0.6)
    figure.savefig(path, metadata={"Software": None})


def blend_grad_cam(
    image: UInt8[np.ndarray, "h w 3"], grad_cam: Float32[np.ndarray, "rows columns"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Lays a Grad-CAM over a photograph, without a page around it.

    Args:
        image: the photograph, or a smaller copy of it.
        grad_cam: relevance over the photograph, 0 or more; NaN where no tile is.
    """
    highest = np.nanmax(grad_cam, initial=0.0)
    relevance = np.nan_to_num(grad_cam) / (highest if highest > 0 else 1)
    relevance = cv2.resize(relevance.astype(np.float32), image.shape[1::-1])[..., None]
    colours = matplotlib.colormaps["inferno"](relevance[..., 0])[..., :3]
    alpha = 0.1 + 0.7 * relevance
    return np.uint8(255 * ((1 - alpha) * _darken(image) + alpha * colours))


def _darken(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w 3"]:
    """Takes colour and some light out of a photograph, so that the map's colours are seen."""
    grey = image @ np.array([0.299, 0.587, 0.114]) / 255
    return np.repeat(0.05 + 0.75 * grey[..., None], 3, axis=2)


def _attention_norm(attention: Float32[np.ndarray, "rows columns"]) -> LogNorm:
    """Makes a scale on which twice an equal share and half of one stand out alike.

    It ends at the largest share there is, and at the same fraction of an equal share: smaller ones
    are nothing, however small.
    """
    extreme = max(2.0, float(np.nanmax(attention)))
    return LogNorm(1 / extreme, extreme, clip=True)
