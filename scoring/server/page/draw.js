// A picture with its boxes on a canvas. The picture itself is never changed. Knows nothing about the page or the server.
import { colourOf, inkOn } from "./boxes.js";

const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

/** The canvas as large as its place allows, sharp on any screen; small pictures grow up to three times. Gives the unit. */
export function fit(canvas, image, roomWidth, roomHeight) {
  const scale = Math.min(roomWidth / image.width, roomHeight / image.height, 3);
  const [width, height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * scale)));
  const dense = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: width * dense, height: height * dense });
  [canvas.style.width, canvas.style.height] = [`${width}px`, `${height}px`];
  return (width < 500 ? 1.7 : 2) * dense;
}

/** `unit` is the thickness of a line in canvas pixels; `focus` is the box to point at, if any. */
export function draw(canvas, picture, boxes, labels, { unit, focus = null }) {
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const marks = focus ? [focus, ...boxes.filter((box) => box !== focus)] : boxes;
  const strength = (mark) => (focus && mark !== focus ? 0.25 : 1);
  const size = Math.max(11, unit * 6.5);
  Object.assign(pen, { font: `600 ${size}px ${FONT}`, textBaseline: "middle", lineJoin: "round" });
  const tags = placeTags(pen, marks, size);
  for (const mark of [...marks].reverse()) { // the highest score lies on top
    frame(pen, mark, colourOf(mark.label, labels), unit, strength(mark), mark === focus);
  }
  for (let at = marks.length - 1; at >= 0; at -= 1) {
    tag(pen, tags[at], colourOf(marks[at].label, labels), size, strength(marks[at]));
  }
  pen.globalAlpha = 1;
}

function frame(pen, { box }, colour, unit, strength, filled) {
  const { width, height } = pen.canvas;
  const [x, y] = [box.topX * width, box.topY * height];
  const [w, h] = [(box.bottomX - box.topX) * width, (box.bottomY - box.topY) * height];
  pen.globalAlpha = strength;
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

/** Where each tag goes: those of high scores first, each where it hides no other; a crowded one says its score alone. */
function placeTags(pen, boxes, size) {
  const taken = [];
  return boxes.map(({ box, label, score }) => {
    const number = score.toFixed(2);
    const all = [`${label} ${number}`, number].flatMap((text) => spots(pen, box, text, size));
    const free = all.find((spot) => !taken.some((other) => overlap(spot, other))) ?? all[0];
    taken.push(free);
    return free;
  });
}

/** Above the box, inside its top, below it, inside its bottom; never outside the picture. */
function spots(pen, box, text, size) {
  const { width, height } = pen.canvas;
  const [w, h] = [pen.measureText(text).width + size * 0.8, size * 1.5];
  const x = Math.max(0, Math.min(box.topX * width - size * 0.15, width - w));
  const [top, bottom] = [box.topY * height, box.bottomY * height];
  const inside = (y) => y >= 0 && y + h <= height;
  const found = [top - h, top, bottom, bottom - h].filter(inside).map((y) => ({ text, x, y, w, h }));
  return found.length ? found : [{ text, x, y: Math.max(0, Math.min(top, height - h)), w, h }];
}

const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

function tag(pen, { text, x, y, w, h }, colour, size, strength) {
  pen.globalAlpha = strength;
  pen.fillStyle = colour;
  pen.fillRect(x, y, w, h);
  pen.fillStyle = inkOn(colour);
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
