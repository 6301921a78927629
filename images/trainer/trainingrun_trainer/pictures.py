"""Draw ground truth (green) and detections (orange, with their scores) on images, as PNG."""

from PIL import Image, ImageDraw, ImageFont

TRUTH, FOUND = (0, 150, 60), (255, 120, 0)
MIN_SIDE = 480  # pixels: small images are enlarged, so that lines and labels stay apart
LABEL_HEIGHT = 12


def draw(image, truth, found, names, path):
    # type: (Image.Image, list, list, dict, str) -> None
    """Draw on a copy of `image`; `truth` holds (class, box), `found` (class, score, box), boxes in 0..1."""
    scale = max(1, -(-MIN_SIDE // max(image.size)))
    canvas = image.resize((image.width * scale, image.height * scale), Image.BICUBIC)
    pen = ImageDraw.Draw(canvas)
    font = ImageFont.load_default()
    for kind, box in truth:
        _box(pen, canvas.size, box, TRUTH, names.get(kind, str(kind)), font, below=True)
    for kind, score, box in found:
        _box(pen, canvas.size, box, FOUND, "{} {:.2f}".format(names.get(kind, kind), score), font, below=False)
    canvas.save(path, "PNG")


def _box(pen, size, box, colour, text, font, below):
    # type: (ImageDraw.ImageDraw, tuple, list, tuple, str, object, bool) -> None
    ymin, xmin, ymax, xmax = box
    left, top, right, bottom = xmin * size[0], ymin * size[1], xmax * size[0], ymax * size[1]
    for inset in range(2):
        pen.rectangle([left + inset, top + inset, right - inset, bottom - inset], outline=colour)
    text = text.encode("latin-1", "replace").decode("latin-1")  # all that Pillow's own font can draw
    y = min(bottom, size[1] - LABEL_HEIGHT) if below else max(top - LABEL_HEIGHT, 0)
    x = max(0, min(left, size[0] - 6 * len(text)))
    pen.rectangle([x, y, x + 6 * len(text) + 2, y + LABEL_HEIGHT], fill=colour)
    pen.text((x + 1, y), text, fill=(255, 255, 255), font=font)
