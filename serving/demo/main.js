/** The page: pictures and the camera go in, and each network draws its answer over them. */
import { Camera } from "./camera.js";
import { Fault, sentence } from "./fault.js";
import { Panel } from "./panel.js";
import { read } from "./pictures.js";
import { PROCESSORS, forget, processors } from "./runtime.js";

const LARGE = 1 << 24;
const find = (id) => document.getElementById(id);
const message = find("message");

/** What the page shows: its networks, the picture, the camera, and how many frames it answered. */
export const view = { panels: [], shown: null, camera: null, frames: 0, maxPixels: 0, busy: null };
let turn = 0;

function say(text) {
  message.textContent = text;
}

/**
 * Answers a picture by all networks; a newer picture replaces it.
 * @param {object} shown The picture and its bitmap.
 * @param {boolean} isLive True for a frame of the camera.
 */
async function answer(shown, isLive) {
  const current = ++turn;
  const isWanted = () => turn === current;
  const before = view.busy;
  const work = async () => {
    await before;
    for (const panel of view.panels) {
      if (!isWanted()) return;
      const processor = find("processor").value;
      try {
        await panel.show(shown, { processor, isWanted, isLive });
      } catch (error) {
        panel.clear();
        if (!(error instanceof Fault)) recover();
        say(sentence(error, `${panel.entry.name} could not answer`));
        if (isLive) stop();
      }
    }
  };
  view.busy = work();
  find("networks").setAttribute("aria-busy", "true");
  await view.busy;
  if (isWanted()) find("networks").setAttribute("aria-busy", "false");
}

/** Has all models loaded again, by another runtime, after an unexpected error. */
function recover() {
  for (const panel of view.panels) panel.free();
  forget();
}

/**
 * Shows the picture of a file.
 * @param {File | undefined} file
 */
async function open(file) {
  if (!file) return;
  stop();
  turn++;
  find("networks").setAttribute("aria-busy", "true");
  say(`Reading ${file.name} …`);
  try {
    const shown = await read(file, view.maxPixels);
    const { width, height } = shown.picture;
    const megapixels = Math.round((width * height) / 1e6);
    const isLarge = width * height > LARGE;
    say(isLarge ? `${file.name} has ${megapixels} megapixels, and is shown smaller.` : "");
    view.shown?.bitmap.close?.();
    view.shown = shown;
    document.body.classList.add("filled");
    await answer(shown, false);
  } catch (error) {
    say(sentence(error, `${file.name} could not be opened`));
    find("networks").setAttribute("aria-busy", "false");
  }
}

/** Returns height and width that hold the input of each network, in which frames are asked for. */
async function largestInput() {
  await view.busy;
  const sizes = [];
  for (const panel of view.panels) {
    sizes.push((await panel.load(find("processor").value)).geometry.size);
  }
  return [0, 1].map((axis) => Math.max(...sizes.map((size) => size[axis])));
}

/** Watches the camera until it is stopped. */
async function watch() {
  say("");
  find("watch").disabled = true;
  try {
    view.camera = await Camera.open(await largestInput());
    setLive(true);
    document.body.classList.add("filled");
    for await (const shown of view.camera.frames()) {
      view.shown = shown;
      await answer(shown, true);
      view.frames++;
    }
  } catch (error) {
    say(sentence(error, "The camera cannot be used"));
    stop();
  } finally {
    find("watch").disabled = false;
  }
}

/** Stops the camera; its last frame stays. */
function stop() {
  view.camera?.close();
  view.camera = null;
  setLive(false);
}

function setLive(isLive) {
  find("watch").textContent = isLive ? "Stop the camera" : "Watch the camera";
  find("watch").disabled = false;
  find("take").hidden = !isLive;
}

/** Takes the camera's last frame as the picture. */
async function take() {
  const { shown } = view;
  stop();
  if (shown) await answer(shown, false);
}

/** Answers the picture again, with another model or on another processor. */
async function again() {
  if (view.camera === null && view.shown) {
    say("");
    await answer(view.shown, false);
  }
}

function bindPictures() {
  find("file").addEventListener("change", async (event) => {
    const input = event.target;
    await open(input.files[0]);
    input.value = "";
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    open(event.dataTransfer?.files[0]);
  });
  find("watch").addEventListener("click", () => (view.camera ? stop() : watch()));
  find("take").addEventListener("click", take);
}

function bindView() {
  const style = document.documentElement.style;
  const slider = (id) => {
    const update = () => style.setProperty(`--${id}`, find(id).value / 100);
    find(id).addEventListener("input", update);
    update();
  };
  slider("opacity");
  slider("divide");
  const divide = (event) => {
    const stage = event.target.closest?.(".stage");
    if (!stage || (event.type === "pointermove" && event.buttons === 0)) return;
    const { left, width } = stage.getBoundingClientRect();
    find("divide").value = Math.round((100 * (event.clientX - left)) / width);
    find("divide").dispatchEvent(new Event("input"));
  };
  for (const type of ["pointerdown", "pointermove"]) find("networks").addEventListener(type, divide);
}

async function bindProcessors() {
  const found = await processors();
  for (const name of found) find("processor").add(new Option(PROCESSORS[name], name));
  find("processor").addEventListener("change", async () => {
    await view.busy;
    for (const panel of view.panels) panel.free();
    await again();
  });
}

/** Reads the list of networks, and makes a panel for each. */
async function start() {
  try {
    const response = await fetch(new URL("./networks.json", import.meta.url));
    if (!response.ok) throw new Fault("networks.json is missing: write the page again.");
    const { networks, max_pixels: maxPixels } = await response.json();
    view.maxPixels = maxPixels;
    view.panels = networks.map((entry) => new Panel(entry, again));
    find("networks").replaceChildren(...view.panels.map(({ element }) => element));
  } catch (error) {
    say(sentence(error, "The list of networks could not be read"));
  }
  bindPictures();
  bindView();
  await bindProcessors();
  document.body.dataset.ready = "";
}

await start();
