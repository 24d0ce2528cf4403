/** A network of a TFLite file: loaded with its metadata, and run on pictures of any size. */
import { Fault } from "./fault.js";
import { Geometry, resized } from "./geometry.js";
import { metadataOf } from "./metadata.js";
import * as runtime from "./runtime.js";
import { taskOf } from "./tasks.js";

/** A network that answers pictures. */
export class Network {
  /**
   * Loads a model of the page's list.
   * @param {string} name The name of the network, for sentences.
   * @param {string} path The path of its file.
   * @param {string} processor The way to run it.
   * @returns {Promise<Network>}
   */
  static async load(name, path, processor) {
    const content = await fetched(name, path);
    const about = metadataOf(content, name);
    const task = taskOf(about, name);
    const geometry = new Geometry(about);
    await runtime.load(processor);
    let model = null;
    try {
      model = await runtime.compiled(content);
    } catch (error) {
      throw new Fault(`${name} cannot be run in this browser: ${error.message ?? error}.`);
    }
    return new Network(about, task, geometry, model);
  }

  constructor(about, task, geometry, model) {
    Object.assign(this, { about, task, geometry, model });
    const { dtype, shape } = model.getInputDetails()[0];
    this.shape = [...shape];
    this.kind = dtype === "uint8" ? "int8" : "float";
    const Values = dtype === "uint8" ? Uint8Array : Float32Array;
    this.input = new Values(shape.reduce((product, side) => product * side, 1));
  }

  /**
   * Returns the answer to a picture at its own size, and the milliseconds that it took.
   * @param {object} picture {height, width, data, stride}
   * @param {object} [options]
   * @param {() => boolean} [options.isWanted] False once the answer is no longer wanted.
   * @param {(done: number, count: number) => void} [options.onWindow] Called before each window.
   * @returns {Promise<{answer: object, milliseconds: number, windows: number} | null>}
   */
  async answer(picture, { isWanted = () => true, onWindow = () => {} } = {}) {
    const grid = this.geometry.grid([picture.height, picture.width]);
    const image = resized(picture, grid.size);
    const found = this.task.begin(grid, this.geometry);
    let milliseconds = 0;
    for (let index = 0; index < grid.count; index++) {
      if (grid.count > 1) {
        onWindow(index, grid.count);
        await pause();
      }
      if (!isWanted()) return null;
      this.geometry.cut(image, grid, index, this.input);
      const begin = performance.now();
      const answers = await runtime.run(this.model, this.input, this.shape);
      milliseconds += performance.now() - begin;
      found.add(answers, index);
    }
    return { answer: found.end(), milliseconds, windows: grid.count };
  }

  /** Frees the memory of the model. */
  delete() {
    this.model.delete();
  }
}

async function fetched(name, path) {
  let response = null;
  try {
    response = await fetch(path);
  } catch {
    throw new Fault(`${name} could not be fetched: the server no longer answers.`);
  }
  if (!response.ok) throw new Fault(`${name} could not be fetched: ${path} is missing.`);
  return new Uint8Array(await response.arrayBuffer());
}

/** Lets the page draw and react. */
function pause() {
  return new Promise((resolve) => setTimeout(resolve));
}
