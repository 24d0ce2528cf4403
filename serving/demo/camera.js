/** The camera: its frames one by one, as fast as they are answered. */
import { Fault } from "./fault.js";

const FAULTS = {
  NotAllowedError: "The camera may not be used: allow it for this page in the browser's settings.",
  NotFoundError: "This device has no camera that the browser can use.",
  NotReadableError: "The camera cannot be used: another program may be using it.",
};

/** A camera that is being watched. */
export class Camera {
  /**
   * Opens the camera on a device's back, where there is one.
   * @param {number[]} size Height and width that are large enough.
   * @returns {Promise<Camera>}
   */
  static async open([height, width]) {
    if (!navigator.mediaDevices) {
      throw new Fault(
        "A camera needs a secure page: open this page by HTTPS, or on the computer that serves it.",
      );
    }
    const video = { facingMode: "environment", width: { ideal: width }, height: { ideal: height } };
    try {
      return new Camera(await navigator.mediaDevices.getUserMedia({ video, audio: false }));
    } catch (error) {
      throw new Fault(FAULTS[error.name] ?? `The camera cannot be used: ${error.message}.`);
    }
  }

  constructor(stream) {
    this.stream = stream;
    this.video = document.createElement("video");
    Object.assign(this.video, { muted: true, playsInline: true, srcObject: stream });
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
  }

  /**
   * Yields each new frame as a picture, with the time of reading it, until the camera is closed.
   * @returns {AsyncGenerator<{picture: object, bitmap: HTMLCanvasElement, milliseconds: number}>}
   */
  async *frames() {
    await this.video.play();
    while (await this.#next()) {
      const begin = performance.now();
      const { videoWidth: width, videoHeight: height } = this.video;
      if (this.canvas.width !== width || this.canvas.height !== height) {
        Object.assign(this.canvas, { width, height });
      }
      this.context.drawImage(this.video, 0, 0);
      const { data } = this.context.getImageData(0, 0, width, height);
      const picture = { height, width, data, stride: 4 };
      yield { picture, bitmap: this.canvas, milliseconds: performance.now() - begin };
    }
  }

  /** Ends the frames, and frees the camera. */
  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.stream = null;
  }

  /** Waits for the next frame; false once the camera is closed. */
  async #next() {
    const { video } = this;
    if (this.stream === null) return false;
    await new Promise((resolve) => {
      const limit = setTimeout(resolve, 1000);
      const done = () => {
        clearTimeout(limit);
        resolve();
      };
      if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(done);
      else requestAnimationFrame(done);
    });
    return this.stream !== null && video.videoWidth > 0;
  }
}
