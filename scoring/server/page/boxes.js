// Which boxes are seen, how many of each label, in which colour. Pure: knows nothing about the page or the server.

// The server is asked once, at this score; the slider then filters what it answered.
export const FLOOR = 0.01;

// The same colours as cva score --draw (scoring/draw.py).
export const PALETTE = [
  "#ffb000", "#1e88e5", "#d81b60", "#009e73", "#fe6100", "#785ef0", "#56dce9", "#b2df47", "#793f0d", "#f0e442",
];

export const colourOf = (label, labels) => PALETTE[Math.max(0, labels.indexOf(label)) % PALETTE.length];

/** Black or white, whichever reads better on `colour` (WCAG relative luminance). */
export function inkOn(colour) {
  const [r, g, b] = [1, 3, 5]
    .map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  const light = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return 1.05 / (light + 0.05) > (light + 0.05) / 0.05 ? "#ffffff" : "#000000";
}

/** `chosen` is one number for all labels, or null for the model's own: one number, or one a label. */
export function thresholdOf(label, chosen, own) {
  if (chosen !== null) return chosen;
  return typeof own === "number" ? own : (own[label] ?? FLOOR);
}

export const above = (boxes, chosen, own) => boxes.filter((box) => box.score >= thresholdOf(box.label, chosen, own));

export function countLabels(boxes, labels) {
  const counts = new Map(labels.map((label) => [label, 0]));
  for (const { label } of boxes) counts.set(label, (counts.get(label) ?? 0) + 1);
  return counts;
}

/** "2 red caps" cannot be said of any label in any language: "red cap × 2" can. */
export function summary(boxes) {
  if (boxes.length === 0) return "nothing found";
  const counts = countLabels(boxes, []);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([label, n]) => `${label} × ${n}`).join(", ");
}

/** Left, top, width × height: pixels of the upright picture, or per cent where its size is not known. */
export function place(box, size) {
  const [w, h, unit] = size ? [size.width, size.height, ""] : [100, 100, " %"];
  const [x, y] = [Math.round(box.topX * w), Math.round(box.topY * h)];
  return `${x}, ${y}, ${Math.round(box.bottomX * w) - x} × ${Math.round(box.bottomY * h) - y}${unit}`;
}

/** The smallest box under a point (fractions), so that a small one inside a large one can be reached. */
export function boxAt(boxes, x, y) {
  const area = ({ box }) => (box.bottomX - box.topX) * (box.bottomY - box.topY);
  return boxes
    .filter(({ box }) => box.topX <= x && x <= box.bottomX && box.topY <= y && y <= box.bottomY)
    .sort((a, b) => area(a) - area(b))[0];
}
