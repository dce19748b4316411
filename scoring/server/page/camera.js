// A camera whose frames are handed over one at a time: the next is taken when the last was dealt with.
const LONGEST = 1280; // pixels; more costs time to send and the detector would shrink it anyway
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Camera {
  #video;
  #onFrame;
  #onEnd;
  #stream = null;

  /** `onFrame(canvas, blob)` is awaited before the next frame is taken; `onEnd()`: the camera was taken away. */
  constructor(video, onFrame, onEnd) {
    this.#video = video;
    this.#onFrame = onFrame;
    this.#onEnd = onEnd;
  }

  /** Throws an Error whose message says what to do. */
  async start() {
    if (!navigator.mediaDevices) throw new Error("Browsers give cameras only to https and to 127.0.0.1. Open the page that way.");
    const size = { width: { ideal: LONGEST }, height: { ideal: 720 }, facingMode: "environment" };
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: size, audio: false });
      this.#video.srcObject = this.#stream;
      await this.#video.play();
    } catch (error) {
      this.stop();
      throw new Error(REASONS[error.name] ?? `The camera did not start: ${error.message}`);
    }
    this.#loop(this.#stream);
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#video.srcObject = null;
    this.#stream = null;
  }

  async #loop(stream) {
    while (this.#stream === stream && stream.active) {
      const frame = document.hidden ? null : await grab(this.#video);
      if (this.#stream !== stream) return;
      await (frame ? this.#onFrame(...frame) : pause(100));
    }
    if (this.#stream === stream) this.#onEnd();
  }
}

const REASONS = {
  NotAllowedError: "This page may not use the camera. Allow it in the browser's address bar, then try again.",
  NotFoundError: "There is no camera on this device. Choose pictures instead.",
  NotReadableError: "Another program uses the camera. Close it, then try again.",
};

async function grab(video) {
  if (!video.videoWidth) return null;
  const scale = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.9));
  return blob && [canvas, blob];
}
