// The page's elements, filled from the state. All text goes through textContent: a label may look like markup.
import { above, colourOf, countLabels, place, summary, thresholdOf } from "./boxes.js";

export const $ = (id) => document.getElementById(id);

const show = (id, yes) => { $(id).hidden = !yes; };
const write = (element, text) => { if (element.textContent !== text) element.textContent = text; };
const number = (value, digits = 2) => (typeof value === "number" ? value.toFixed(digits) : "–");

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Elements are kept and refilled, never rebuilt: a click or a focus survives thirty camera frames a second. */
function fill(parent, items, build, update) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  while (parent.children.length < items.length) parent.append(build(parent.children.length));
  items.forEach((item, index) => update(parent.children[index], item, index));
}

/** The boxes to draw and to list: above the threshold, of labels that are not switched off. */
export function seen(state) {
  const { picture, model } = state;
  return above(picture?.boxes ?? [], state.chosen, model.own).filter(({ label }) => !state.hidden.has(label));
}

export function showModel({ name, version, metrics = {}, labels }) {
  write($("model-name"), name);
  document.title = version ? `${name} ${version}` : name;
  const where = metrics.images ? ` on ${metrics.images} ${metrics.split} pictures` : "";
  const facts = version ? [`version ${version}`] : [];
  facts.push(`${labels.length} label${labels.length === 1 ? "" : "s"}`);
  if (typeof metrics.mean_average_precision === "number") facts.push(`mAP ${number(metrics.mean_average_precision)}${where}`);
  fill($("model-facts"), facts, () => make("li"), write);
}

export function showPanel(state) {
  const boxes = seen(state);
  showThreshold(state);
  showLabels(state);
  showTable(state, boxes);
  showCaption(state, boxes);
}

function showThreshold({ chosen, model: { own } }) {
  const each = typeof own !== "number";
  const value = chosen ?? (each ? Math.min(1, ...Object.values(own)) : own);
  if (Number($("threshold").value) !== value) $("threshold").value = value;
  write($("threshold-value"), chosen === null && each ? "one a label" : number(value));
  write($("threshold-words"), chosen === null ? "The model's own setting." : "Yours, for all labels.");
  $("threshold").setAttribute("aria-valuetext", $("threshold-value").textContent);
  show("own", chosen !== null);
}

function showLabels(state) {
  const { labels, own } = state.model;
  const counts = countLabels(above(state.picture?.boxes ?? [], state.chosen, own), labels);
  fill($("labels"), labels, (index) => labelItem(labels, index), (item, label) => {
    const [box, , text, limit, count] = item.firstElementChild.children;
    box.checked = !state.hidden.has(label);
    write(text, label);
    write(limit, state.chosen === null && typeof own !== "number" ? `≥ ${number(thresholdOf(label, null, own), 3)}` : "");
    write(count, String(counts.get(label)));
    item.classList.toggle("absent", counts.get(label) === 0);
  });
}

function labelItem(labels, index) {
  const box = make("input", { type: "checkbox", className: "label-toggle" });
  box.dataset.index = index;
  const swatch = make("span", { className: "swatch" });
  swatch.style.setProperty("--colour", colourOf(labels[index], labels));
  const parts = ["text", "limit quiet", "pill"].map((className) => make("span", { className }));
  return make("li", {}, make("label", {}, box, swatch, ...parts));
}

function showTable(state, boxes) {
  const { labels } = state.model;
  const row = () => make("tr", { tabIndex: -1 }, make("th", { scope: "row" }, make("span", { className: "swatch" }), make("span")),
    make("td"), make("td"));
  fill($("boxes"), boxes, row, (line, box, index) => {
    const [name, score, where] = line.children;
    name.firstChild.style.setProperty("--colour", colourOf(box.label, labels));
    write(name.lastChild, box.label);
    write(score, number(box.score, 3));
    write(where, place(box.box, state.image));
    line.tabIndex = index === 0 ? 0 : -1;
    line.classList.toggle("focused", box === state.focus);
  });
  write($("count"), String(boxes.length));
  const all = state.picture?.boxes?.length ?? 0;
  show("table", boxes.length > 0);
  show("none", boxes.length === 0);
  if (state.picture?.status !== "done") write($("none"), "None yet.");
  else write($("none"), all ? `Nothing here; ${all} below the threshold or switched off.` : "The model found nothing in this picture.");
}

function showCaption({ picture, image }, boxes) {
  const done = picture?.status === "done";
  write($("caption"), !picture ? "" : done ? `${picture.name}: ${summary(boxes)}` : picture.name);
  $("canvas").setAttribute("aria-label", $("caption").textContent);
  const parts = image ? [`${image.width} × ${image.height} px`] : [];
  if (done) {
    for (const [name, ms] of Object.entries(picture.ms)) parts.push(`${name} ${number(ms, 1)} ms`);
    if (picture.rate) parts.push(`${number(picture.rate, 1)} frames a second`);
  }
  write($("timing"), parts.join(" · "));
}

/** What stands where the picture would: still scoring, failed, or a picture that this browser cannot draw. */
export function showStage(state) {
  const { picture, image } = state;
  show("canvas", image);
  show("busy", picture && ["waiting", "scoring"].includes(picture.status));
  write($("busy"), picture?.wait ?? "Scoring…");
  const undrawn = picture?.status === "done" && !image && state.drawn;
  show("failure", picture?.status === "failed" || undrawn);
  show("again", picture?.status === "failed" && picture.error.again);
  if (picture?.status === "failed") tell(picture.error.message, picture.error.hint, picture.error.detail);
  else if (undrawn) tell("This browser cannot draw this kind of picture.", "Its boxes are listed all the same.");
  for (const id of ["save-png", "save-json"]) $(id).disabled = picture?.status !== "done";
  if (!image) $("save-png").disabled = true;
}

function tell(title, words, detail = "") {
  write($("failure-title"), title);
  write($("failure-words"), words);
  write($("failure-detail"), detail);
}

export function showStrip({ pictures, picture, chosen, model }) {
  show("strip", pictures.length > 1 || (pictures.length === 1 && picture !== pictures[0]));
  fill($("strip"), pictures, stripItem, (button, each, index) => {
    if (each.thumb && button.firstChild !== each.thumb) button.firstChild.replaceWith(each.thumb);
    else if (!each.thumb && button.firstChild.tagName === "CANVAS") button.firstChild.replaceWith(make("span", { className: "no-thumb" }));
    const found = above(each.boxes ?? [], chosen, model.own).length;
    write(button.lastChild, { done: String(found), failed: "!" }[each.status] ?? "…");
    button.className = each.status;
    button.title = each.name;
    button.dataset.index = index;
    button.tabIndex = each === picture || (index === 0 && !pictures.includes(picture)) ? 0 : -1;
    button.setAttribute("aria-current", each === picture);
    button.setAttribute("aria-label", `${each.name}, ${each.status === "done" ? `${found} boxes` : each.status}`);
  });
}

const stripItem = () => make("button", { type: "button" }, make("span", { className: "no-thumb" }), make("span", { className: "pill" }));

export function notice(text) {
  write($("notice"), text);
  show("notice", text !== "");
}

export function askKey(problem) {
  show("key-form", true);
  write($("key-problem"), problem);
  $("key").focus();
}

/** Arrow keys move within a group that is one stop of the tabulator. */
export function roving(container) {
  container.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const items = [...container.children];
    const next = items[items.indexOf(document.activeElement) + step];
    if (!step || !next || !items.includes(document.activeElement)) return;
    event.preventDefault();
    next.focus();
  });
}

export function download(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
