// The page: pictures in, boxes seen. What the state is and what changes it; elements are view.js, the server is api.js.
import { forgetKey, hasKey, keepKey, metadata, score } from "./api.js";
import { boxAt } from "./boxes.js";
import { Camera } from "./camera.js";
import { draw, fit, toPng } from "./draw.js";
import { intake } from "./intake.js";
import { checkFile, fault, stem, thumbnail } from "./pictures.js";
import { $, askKey, download, notice, roving, seen, showModel, showPanel, showStage, showStrip } from "./view.js";

const state = {
  model: null, // {name, version, labels, own, metrics, most: bytes of a picture}
  pictures: [], // {name, file, status: waiting|scoring|done|failed, boxes, error, ms, thumb}
  picture: null, // the one that is seen: of `pictures`, or the camera's latest frame
  image: null, // its upright pixels
  drawn: false, // whether drawing it was tried
  chosen: null, // the slider's number; null: the model's own threshold
  hidden: new Set(), // labels that are switched off
  focus: null, // the box that is pointed at
  live: false,
};
// ---- the model

async function loadModel() {
  const { name, version, labels, thresholds, metrics, limits } = await metadata();
  const most = Math.min(limits.max_body_bytes, limits.max_image_bytes);
  state.model = { name, version, labels, own: thresholds.score, metrics, most };
  showModel(state.model);
  notice("");
  $("key-form").hidden = true;
}

let retry = 0;

/** True where the server can be asked; false where a person has to act first, who is told so. */
async function ready() {
  try {
    if (!state.model) await loadModel();
    return true;
  } catch (error) {
    complain(error);
    clearTimeout(retry);
    if (error.status !== 401) retry = setTimeout(begin, 3000); // it may be loading its model, or starting
    return false;
  }
}

const begin = async () => { if (await ready()) drain(); };

function complain(error) {
  if (error.status !== 401) return notice([error.message, error.hint].filter(Boolean).join(" "));
  const wrong = hasKey();
  forgetKey();
  askKey(wrong ? "The server did not accept this key. Check it and try again." : "");
}

// ---- pictures

let draining = false;

function add(files) {
  const fresh = [...files].map((file) => ({ name: file.name || "pasted picture", file, status: "waiting" }));
  if (fresh.length === 0) return;
  if (state.live) stopCamera();
  state.pictures.push(...fresh);
  see(fresh[0]);
  drain();
}

/** One picture after the other: never more than one request of this page is under way. */
async function drain() {
  if (draining) return;
  draining = true;
  try {
    for (let next = waiting(); next && (await ready()); next = waiting()) {
      if (!(await scoreOne(next))) break;
    }
  } finally {
    draining = false;
    render();
  }
}

const waiting = () => state.pictures.find(({ status }) => status === "waiting");

async function scoreOne(picture) {
  picture.status = "scoring";
  render();
  try {
    await checkFile(picture.file, state.model.most);
    await ask(picture, picture.file);
    picture.thumb ??= await thumbnail(picture.file);
  } catch (error) {
    if (error.status === 401) {
      picture.status = "waiting";
      complain(error);
      return false;
    }
    Object.assign(picture, { status: "failed", error: fault(error) });
  }
  render();
  return true;
}

async function ask(picture, blob) {
  const onWait = (seconds) => { picture.wait = `The server is busy; trying again in ${seconds} s…`; render(); };
  const answer = await score(blob, { onWait });
  if (answer.model.version && answer.model.version !== state.model.version) await loadModel();
  const error = answer.error && fault(answer.error);
  Object.assign(picture, { status: error ? "failed" : "done", error, boxes: answer.boxes, ms: answer.ms });
}

async function see(picture) {
  Object.assign(state, { picture, image: null, drawn: false, focus: null });
  render();
  const image = await createImageBitmap(picture.file, { imageOrientation: "from-image" }).catch(() => null);
  if (state.picture !== picture) return image?.close();
  Object.assign(state, { image, drawn: true });
  render();
}

function clear() {
  stopCamera();
  Object.assign(state, { pictures: [], picture: null, image: null, focus: null });
  render();
}

// ---- the camera

let last = 0; // when the latest frame was answered
const camera = new Camera($("video"), async (canvas, blob) => {
  const frame = { name: "Camera", file: blob, status: "scoring" };
  try {
    await ask(frame, blob);
  } catch (error) {
    stopCamera();
    return complain(error);
  }
  if (!state.live) return;
  frame.rate = last ? 1000 / (performance.now() - last) : 0;
  last = performance.now();
  Object.assign(state, { picture: frame, image: canvas, drawn: true, focus: null });
  render();
}, () => {
  stopCamera();
  notice("The camera was taken away. Connect it and start it again.");
});

async function startCamera() {
  $("camera").disabled = true; // the browser may be asking for permission
  try {
    if (!(await ready())) return;
    notice("");
    await camera.start();
    [state.live, last] = [true, 0];
  } catch (error) {
    notice(error.message);
  } finally {
    $("camera").disabled = false;
    render();
  }
}

function stopCamera() {
  camera.stop();
  state.live = false;
  render();
}

async function keepFrame() {
  const frame = { ...state.picture, name: `frame ${state.pictures.length + 1}.jpg`, rate: 0 };
  frame.thumb = await thumbnail(frame.file);
  state.pictures.push(frame);
  render();
}

// ---- what is seen

function render() {
  const any = Boolean(state.picture) || state.live;
  document.body.classList.toggle("working", any);
  $("results").hidden = !(any && state.model);
  $("clear").hidden = !any;
  $("keep-frame").hidden = !state.live;
  $("camera").textContent = state.live ? "Stop camera" : "Use camera";
  $("camera").setAttribute("aria-pressed", state.live);
  $("caption").setAttribute("aria-live", state.live ? "off" : "polite");
  if (!any || !state.model) return;
  showStrip(state);
  showStage(state);
  showPanel(state);
  paint();
}

function paint() {
  const { image } = state;
  if (!image) return;
  const canvas = $("canvas");
  const unit = fit(canvas, image, canvas.parentElement.clientWidth, Math.max(240, window.innerHeight * 0.56));
  draw(canvas, image, seen(state), state.model.labels, { unit, focus: state.focus });
}

function point(box) {
  if (state.focus === box) return;
  state.focus = box ?? null;
  const boxes = seen(state);
  [...$("boxes").children].forEach((row, index) => row.classList.toggle("focused", boxes[index] === state.focus));
  paint();
}

// ---- what people do

intake($("files"), add, notice);
$("camera").addEventListener("click", () => (state.live ? stopCamera() : startCamera()));
$("clear").addEventListener("click", clear);
$("keep-frame").addEventListener("click", keepFrame);
$("threshold").addEventListener("input", ({ target }) => { state.chosen = Number(target.value); render(); });
$("own").addEventListener("click", () => { state.chosen = null; render(); });
$("labels").addEventListener("change", ({ target }) => {
  const label = state.model.labels[target.dataset.index];
  if (target.checked) state.hidden.delete(label);
  else state.hidden.add(label);
  render();
});
$("strip").addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (!button) return;
  if (state.live) stopCamera();
  see(state.pictures[button.dataset.index]);
});
$("again").addEventListener("click", () => {
  state.picture.status = "waiting";
  drain();
});
$("save-png").addEventListener("click", async () => {
  const { picture, image, model } = state;
  try {
    download(await toPng(image, seen(state), model.labels), `${stem(picture.name)}.boxes.png`);
  } catch (error) {
    notice(`The picture could not be saved: ${error.message}.`);
  }
});
$("save-json").addEventListener("click", () => {
  const answer = [{ filename: state.picture.name, boxes: seen(state) }];
  download(new Blob([JSON.stringify(answer, null, 2)], { type: "application/json" }), `${stem(state.picture.name)}.json`);
});
$("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const key = $("key").value.trim();
  if (!/^[\x21-\x7e]+$/.test(key)) return askKey("A key has letters, digits and signs without blanks.");
  keepKey(key);
  $("key").value = "";
  $("key-form").hidden = true;
  begin();
});

const rowBox = (target) => seen(state)[[...$("boxes").children].indexOf(target.closest("tr"))];
for (const kind of ["pointerover", "focusin"]) $("boxes").addEventListener(kind, ({ target }) => point(rowBox(target)));
for (const kind of ["pointerleave", "focusout"]) $("boxes").addEventListener(kind, () => point(null));
for (const kind of ["pointermove", "pointerdown"]) {
  $("canvas").addEventListener(kind, ({ offsetX, offsetY, currentTarget: at }) => {
    point(boxAt(seen(state), offsetX / at.clientWidth, offsetY / at.clientHeight));
  });
}
$("canvas").addEventListener("pointerleave", () => point(null));
roving($("boxes"));
roving($("strip"));

addEventListener("pagehide", () => camera.stop());
new ResizeObserver(paint).observe($("canvas").parentElement);

begin();
