/** A network on the page: its models, the picture, the result over it, legend and milliseconds. */
import { sentence } from "./fault.js";
import { Network } from "./network.js";

const LARGEST = 2048;
/** The longer side of the canvases, in pixels; larger pictures are shown smaller. */

/** The view of a network. */
export class Panel {
  /**
   * @param {{name: string, models: {kind: string, path: string}[]}} entry
   * @param {() => void} onChange Called when another model is chosen.
   */
  constructor(entry, onChange) {
    const template = document.getElementById("network");
    this.element = template.content.firstElementChild.cloneNode(true);
    this.entry = entry;
    this.network = null;
    this.answer = null;
    this.figures = null;
    const find = (selector) => this.element.querySelector(selector);
    find("h2").textContent = entry.name;
    this.select = find("select");
    this.below = find("canvas.input");
    this.above = find("canvas.result");
    this.speed = find(".speed");
    this.legend = find(".legend");
    for (const { kind } of entry.models) this.select.add(new Option(kind, kind));
    this.select.addEventListener("change", onChange);
    this.select.setAttribute("aria-label", `Model of ${entry.name}`);
  }

  /**
   * Shows a picture, answers it and draws the answer over it.
   * @param {{picture: object, bitmap: CanvasImageSource, milliseconds?: number}} shown
   * @param {object} options
   * @param {string} options.processor The way to run networks.
   * @param {() => boolean} options.isWanted False once another picture is shown.
   * @param {boolean} [options.isLive] True for a frame of the camera, whose words do not change.
   */
  async show({ picture, bitmap, milliseconds: reading = 0 }, { processor, isWanted, isLive = false }) {
    if (!isLive) this.#draw(bitmap, picture);
    const network = await this.load(processor);
    const start = performance.now();
    const found = await network.answer(picture, {
      isWanted,
      onWindow: (done, count) => this.#say(`window ${done + 1} of ${count} …`),
    });
    if (found === null) return;
    const { answer, milliseconds, windows } = found;
    if (isLive) this.#draw(bitmap, picture);
    this.#paint(answer);
    this.answer = answer;
    const own = performance.now() - start - milliseconds;
    this.figures = { network: milliseconds, page: own + reading };
    this.#state(milliseconds / windows, windows);
    if (!isLive) this.#describe(answer);
    else if (this.isDescribed) this.#describe(null);
  }

  /** Removes the result, after an error. */
  clear() {
    this.answer = null;
    this.above.getContext("2d").clearRect(0, 0, this.above.width, this.above.height);
    this.#say("");
  }

  /** Describes the answer to a picture in words and in the legend; null for a camera's. */
  #describe(answer) {
    this.isDescribed = answer !== null;
    const text = answer ? this.network.task.summary(answer) : "as the camera sees it";
    this.above.setAttribute("aria-label", `Result of ${this.entry.name}: ${text}`);
    this.#list(this.network.task.legend(answer));
  }

  /**
   * Returns the chosen network, loaded for a way to run it; the one before is freed.
   * @param {string} processor
   * @returns {Promise<Network>}
   */
  async load(processor) {
    const model = this.entry.models.find(({ kind }) => kind === this.select.value);
    const key = `${processor} ${model.path}`;
    if (this.network?.key === key) return this.network;
    this.free();
    this.#say("loading …");
    const network = await Network.load(this.entry.name, model.path, processor);
    this.network = Object.assign(network, { key });
    this.element.classList.toggle("opaque", Boolean(network.task.isPicture));
    this.#list(network.task.legend(null));
    return network;
  }

  /** Frees the memory of the model; it is loaded again when it is needed. */
  free() {
    try {
      this.network?.delete();
    } catch (error) {
      console.warn(sentence(error, "The model could not be freed"));
    }
    this.network = null;
  }

  /** Draws the picture below the result, at its own size or smaller. */
  #draw(bitmap, { height, width }) {
    const factor = Math.min(1, LARGEST / Math.max(height, width));
    const size = [height, width].map((side) => Math.max(1, Math.round(side * factor)));
    for (const canvas of [this.below, this.above]) {
      if (canvas.height !== size[0]) canvas.height = size[0];
      if (canvas.width !== size[1]) canvas.width = size[1];
    }
    this.below.getContext("2d").drawImage(bitmap, 0, 0, size[1], size[0]);
  }

  #paint(answer) {
    const context = this.above.getContext("2d");
    context.clearRect(0, 0, this.above.width, this.above.height);
    this.network.task.paint(answer, context);
  }

  #state(milliseconds, windows) {
    const more = windows > 1 ? `, ${windows} windows` : "";
    this.#say(`${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms a frame, ${this.network.kind}${more}`);
  }

  #say(text) {
    this.speed.textContent = text;
  }

  #list(items) {
    const rows = items.map(({ text, colour, isScale }) => {
      const [row, mark] = [document.createElement("li"), document.createElement("span")];
      mark.className = isScale ? "scale" : "mark";
      mark.style.background = colour;
      row.append(mark, text);
      return row;
    });
    this.legend.replaceChildren(...rows);
  }
}
