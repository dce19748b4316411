// One picture: whether it can be sent, what went wrong with it, how it looks small. Knows nothing about the server or the page.

const FAULTS = { // code: what is wrong, what to do
  not_an_image: ["This file is not a picture.", "Choose a JPEG, PNG, BMP, TIFF or WebP picture."],
  format_not_allowed: ["This kind of picture is not accepted.", "Save it as JPEG or PNG and add it again."],
  image_too_large: ["This picture is too large.", "Make it smaller and add it again."],
  truncated: ["This picture is damaged or cut off.", "Get or export the file again."],
};

/** Throws an error for what would only fail on its way: a folder, a file that is gone, one that is too large. */
export async function checkFile(file, most) {
  await file.slice(0, 1).arrayBuffer().catch(() => {
    throw Object.assign(new Error("This file cannot be read."), { hint: "If it is a folder, add the pictures in it." });
  });
  if (file.size > most) {
    throw Object.assign(new Error(`expected at most ${most} bytes, found ${file.size}`), { code: "image_too_large" });
  }
}

/** What a person is told: of a known kind in our words, with the server's own beneath. */
export function fault({ code, message, hint: next = "", status = 400 }) {
  if (!FAULTS[code]) return { message, hint: next, again: status === 0 || status >= 429 };
  const [title, hint] = FAULTS[code];
  return { message: title, hint, detail: message };
}

export async function thumbnail(file) {
  const small = await createImageBitmap(file, { resizeHeight: 144 }).catch(() => null);
  if (!small) return null;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [192, 144];
  const scale = Math.max(192 / small.width, 1);
  canvas.getContext("2d").drawImage(small, (192 - small.width * scale) / 2, (144 - 144 * scale) / 2, small.width * scale, 144 * scale);
  return canvas;
}

export const stem = (name) => name.replace(/\.[^.]*$/, "") || "picture";
