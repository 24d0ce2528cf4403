/** Loads LiteRT for the web, once for each way to run networks. */
import { Fault } from "./fault.js";

const FOLDER = new URL("./runtime/", import.meta.url).href;
let library = null;
let loaded = null;
let attempt = 0;

/** The ways to run networks that a browser may have, with their names on the page. */
export const PROCESSORS = {
  wasm: "Processor (Wasm)",
  threads: "Processor (Wasm), several threads",
  webgpu: "GPU (WebGPU)",
};

/**
 * Returns the ways to run networks that this browser has, the default first.
 * @returns {Promise<string[]>}
 */
export async function processors() {
  const found = ["wasm"];
  if (self.crossOriginIsolated && navigator.hardwareConcurrency > 1) found.push("threads");
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return adapter ? [...found, "webgpu"] : found;
}

/**
 * Loads the runtime for a way to run networks; what was loaded for another one ends.
 * @param {string} processor One of PROCESSORS.
 */
export async function load(processor) {
  if (loaded === processor) return;
  try {
    library ??= await import(`${FOLDER}core.js${attempt ? `?${attempt}` : ""}`);
    if (loaded !== null) library.unloadLiteRt();
    loaded = null;
    const jspi = processor === "webgpu" && "Suspending" in WebAssembly;
    await library.loadLiteRt(`${FOLDER}wasm/`, { threads: processor === "threads", jspi });
    loaded = processor;
  } catch (error) {
    forget();
    throw new Fault(
      "The runtime LiteRT could not be loaded from this page's folder runtime/: serve the page " +
        "with nas-tf demo, or write it again with --out.",
      { cause: error },
    );
  }
}

/** Drops the runtime, which may be broken after an error, so that the next model loads another. */
export function forget() {
  library = null;
  loaded = null;
  attempt++;
}

/**
 * Returns a model that is ready to run.
 * @param {Uint8Array} content The content of a TFLite file.
 */
export function compiled(content) {
  return library.loadAndCompile(content, { accelerator: loaded === "webgpu" ? "webgpu" : "wasm" });
}

/**
 * Runs a model on one image, and returns its answers by name as typed arrays.
 * @param {object} model
 * @param {Uint8Array|Float32Array} image
 * @param {number[]} shape
 * @returns {Promise<Record<string, {data: object, shape: number[]}>>}
 */
export async function run(model, image, shape) {
  const input = new library.Tensor(image, shape);
  let outputs = [];
  try {
    outputs = await model.run([input]);
    const answers = {};
    for (const [index, { name }] of model.getOutputDetails().entries()) {
      const { dimensions } = outputs[index].type.layout;
      answers[name] = { data: await outputs[index].data(), shape: [...dimensions] };
    }
    return answers;
  } finally {
    for (const tensor of [input, ...outputs]) tensor.delete();
  }
}
