// The three ways that files come in: chosen, dropped anywhere on the page, pasted. Knows nothing about what becomes of them.

/** `field` is the file field, `add` takes files, `tell` takes a sentence for a person ("" takes it back). */
export function intake(field, add, tell) {
  field.addEventListener("change", () => {
    add(field.files);
    field.value = ""; // the same file may be chosen again
  });
  addEventListener("paste", ({ clipboardData }) => add(clipboardData.files));

  const veil = document.getElementById("veil");
  let depth = 0; // dragenter and dragleave also come from the elements inside
  const enter = (step) => {
    depth = step === 0 ? 0 : Math.max(0, depth + step);
    veil.hidden = depth === 0;
  };
  addEventListener("dragenter", (event) => {
    event.preventDefault();
    enter(1);
  });
  addEventListener("dragleave", () => enter(-1));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    enter(0);
    const { files } = event.dataTransfer;
    tell(files.length ? "" : "That was an address, not a file. Save the picture first, then drop the file.");
    add(files);
  });
}
