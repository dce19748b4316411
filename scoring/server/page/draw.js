// A picture with its boxes on a canvas. The picture itself is never changed. Knows nothing about the page or the server.
import { colourOf, inkOn } from "./boxes.js";

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

/** `unit` is the thickness of a line in canvas pixels; `focus` is the box to point at, if any. */
export function draw(canvas, picture, boxes, labels, { unit, focus = null }) {
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const marks = [...boxes].reverse(); // the highest score lies on top
  const strength = (mark) => (focus && mark !== focus ? 0.25 : 1);
  for (const mark of marks) frame(pen, mark, colourOf(mark.label, labels), unit, strength(mark), mark === focus);
  for (const mark of marks) tag(pen, mark, colourOf(mark.label, labels), unit, strength(mark));
  pen.globalAlpha = 1;
}

function frame(pen, { box }, colour, unit, strength, filled) {
  const { width, height } = pen.canvas;
  const [x, y] = [box.topX * width, box.topY * height];
  const [w, h] = [(box.bottomX - box.topX) * width, (box.bottomY - box.topY) * height];
  pen.globalAlpha = strength;
  pen.lineJoin = "round";
  for (const [line, style] of [[unit * 2, inkOn(colour)], [unit, colour]]) { // an edge that shows on any ground
    pen.lineWidth = line;
    pen.strokeStyle = style;
    pen.strokeRect(x, y, w, h);
  }
  if (!filled) return;
  pen.globalAlpha = 0.2;
  pen.fillStyle = colour;
  pen.fillRect(x, y, w, h);
}

function tag(pen, { box, label, score }, colour, unit, strength) {
  const { width, height } = pen.canvas;
  const size = Math.max(11, unit * 6.5);
  const text = `${label} ${score.toFixed(2)}`;
  pen.font = `600 ${size}px ${FONT}`;
  const [w, h] = [pen.measureText(text).width + size * 0.8, size * 1.5];
  const x = Math.max(0, Math.min(box.topX * width - unit, width - w));
  const top = box.topY * height;
  const y = Math.max(0, Math.min(top >= h ? top - h : top, height - h));
  pen.globalAlpha = strength;
  pen.fillStyle = colour;
  pen.fillRect(x, y, w, h);
  pen.fillStyle = inkOn(colour);
  pen.textBaseline = "middle";
  pen.fillText(text, x + size * 0.4, y + h / 2 + size * 0.04);
}

/** The picture at its own size with the boxes on it, as a PNG. */
export function toPng(picture, boxes, labels) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height];
  draw(canvas, picture, boxes, labels, { unit: Math.max(1.5, Math.min(picture.width, picture.height) / 260) });
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture is too large for this browser"))), "image/png");
  });
}
