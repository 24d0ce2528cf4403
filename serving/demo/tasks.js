/**
 * What the page knows of each task: how the answers to windows become that to a picture, as
 * nas_tf.tasks decodes them, and how it is drawn. Marks are drawn over a picture, maps cover it.
 */
import { classColours, css, DEPTHS, jointColour, pixels } from "./colours.js";
import { Fault } from "./fault.js";
import { nearestOf } from "./geometry.js";
import { joints } from "./heatmaps.js";

const LEAST_SCORE = 0.3;
const LEAST_PEAK = 0.2;

/** A task whose answer is a map of the picture's size. */
class MapTask {
  constructor(name, channels = 1) {
    this.name = name;
    this.channels = channels;
  }

  /** Returns a collector of the answers to the windows of a picture. */
  begin(grid, geometry) {
    const { name, channels } = this;
    const [height, width] = grid.own;
    const answer = { height, width, data: null };
    return {
      add(answers, index) {
        const { data, shape } = named(answers, name);
        answer.data ??= new data.constructor(height * width * channels);
        geometry.join({ width: shape[2], channels, data }, grid, index, answer);
      },
      end: () => answer,
    };
  }

  /** Draws an answer on a canvas by the nearest pixels. */
  paint(answer, context) {
    const { width, height } = context.canvas;
    const image = context.createImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    const colour = this.colourer(answer);
    if (width === answer.width && height === answer.height) {
      for (let place = 0; place < out.length; place++) out[place] = colour(place);
    } else {
      for (let y = 0, to = 0; y < height; y++) {
        const from = nearestOf(y, height, answer.height) * answer.width;
        for (let x = 0; x < width; x++) out[to++] = colour(from + nearestOf(x, width, answer.width));
      }
    }
    context.putImageData(image, 0, 0);
  }
}

class Segmentation extends MapTask {
  constructor(about) {
    super("mask");
    const classes = about.classes ?? about.palette ?? Array.from({ length: 255 }, (_, n) => n);
    this.classes = classes.map(String);
    this.colours = classColours(about.palette, classes.length);
    this.pixels = new Uint32Array(256).fill(pixels([[0, 0, 0]])[0]);
    this.pixels.set(pixels(this.colours));
  }

  colourer({ data }) {
    const { pixels: table } = this;
    return (place) => table[data[place]];
  }

  legend() {
    return this.classes.map((text, n) => ({ text, colour: css(this.colours[n]) }));
  }

  summary({ data }) {
    const counts = new Array(256).fill(0);
    for (const label of data) counts[label]++;
    const shares = this.classes.map((text, n) => [text, counts[n] / data.length]);
    const large = shares.filter(([, share]) => share >= 0.005).sort(([, a], [, b]) => b - a);
    return large.map(([text, share]) => `${text} ${Math.round(100 * share)} %`).join(", ");
  }
}

class Depth extends MapTask {
  constructor() {
    super("depth");
    this.pixels = pixels(DEPTHS);
  }

  colourer({ data }) {
    const factor = this.pixels.length / farthest(data);
    const { pixels: table } = this;
    const last = table.length - 1;
    return (place) => table[Math.min(Math.max(Math.floor(data[place] * factor), 0), last)];
  }

  legend(answer) {
    const colours = [0, 64, 128, 192, 255].map((n) => css(DEPTHS[n])).join(", ");
    const text = answer ? `0 to ${farthest(answer.data).toFixed(1)} m` : "near to far";
    return [{ text, colour: `linear-gradient(to right, ${colours})`, isScale: true }];
  }

  summary({ data }) {
    const nearest = data.reduce((least, value) => Math.min(least, value), Infinity);
    return `${nearest.toFixed(1)} to ${farthest(data).toFixed(1)} metres`;
  }
}

class Restoration extends MapTask {
  constructor(about) {
    super("restored", about.channels ?? 1);
    this.isPicture = true;
  }

  colourer({ data }) {
    const last = this.channels - 1;
    const [green, blue] = [Math.min(1, last), Math.min(2, last)];
    const step = this.channels;
    return (place) => {
      const from = place * step;
      return (
        (0xff000000 | (data[from + blue] << 16) | (data[from + green] << 8) | data[from]) >>> 0
      );
    };
  }

  legend() {
    return [];
  }

  summary() {
    return "a restored picture";
  }
}

class Pose {
  constructor(about) {
    this.names = (about.joints ?? []).map(String);
  }

  begin(grid, geometry) {
    let found = [];
    return {
      add(answers) {
        const { data } = answers.keypoints ?? joints(named(answers, "heatmaps"));
        for (let n = 0; n < data.length; n += 3) {
          const [x, y] = geometry.point([data[n], data[n + 1]], grid);
          found.push({ x, y, peak: data[n + 2] });
        }
      },
      end: () => ({ height: grid.own[0], width: grid.own[1], joints: found }),
    };
  }

  paint(answer, context) {
    const scale = fitted(answer, context);
    const radius = Math.max(2, Math.floor(Math.min(context.canvas.width, context.canvas.height) / 80));
    for (const [n, { x, y, peak }] of answer.joints.entries()) {
      if (!(peak > LEAST_PEAK)) continue;
      context.beginPath();
      context.arc((x + 0.5) * scale.x, (y + 0.5) * scale.y, radius, 0, 2 * Math.PI);
      context.fillStyle = css(jointColour(n, answer.joints.length));
      context.fill();
    }
  }

  legend() {
    const colour = (n) => css(jointColour(n, this.names.length));
    return this.names.map((text, n) => ({ text, colour: colour(n) }));
  }

  summary({ joints: found }) {
    return `${found.filter(({ peak }) => peak > LEAST_PEAK).length} of ${found.length} joints`;
  }
}

class Detection {
  constructor(about) {
    this.classes = (about.classes ?? []).map(String);
    this.colours = classColours(about.colours, this.classes.length);
  }

  begin(grid, geometry) {
    const [height, width] = grid.own;
    const boxes = [];
    return {
      add(answers) {
        const [corners, scores, classes] = ["boxes", "scores", "classes"].map(
          (name) => named(answers, name).data,
        );
        for (let n = 0; n < scores.length; n++) {
          const corner = (k) => {
            const inside = [corners[4 * n + k] - 0.5, corners[4 * n + k + 1] - 0.5];
            const [x, y] = geometry.point(inside, grid);
            const within = (value, most) => Math.min(Math.max(value + 0.5, 0), most);
            return [within(x, width), within(y, height)];
          };
          const [[x1, y1], [x2, y2]] = [corner(0), corner(2)];
          const isBox = x2 > x1 && y2 > y1 && scores[n] > 0;
          if (isBox) boxes.push({ x1, y1, x2, y2, score: scores[n], label: classes[n] });
        }
      },
      end: () => ({ height, width, boxes }),
    };
  }

  paint(answer, context) {
    const scale = fitted(answer, context);
    const line = Math.max(2, Math.min(context.canvas.width, context.canvas.height) / 200);
    context.lineWidth = line;
    context.font = `${8 * line}px sans-serif`;
    context.textBaseline = "top";
    for (const box of this.#shown(answer)) {
      const [left, top] = [box.x1 * scale.x, box.y1 * scale.y];
      const colour = this.colours[box.label] ?? [255, 255, 255];
      context.strokeStyle = css(colour);
      context.strokeRect(left, top, (box.x2 - box.x1) * scale.x, (box.y2 - box.y1) * scale.y);
      const text = `${this.classes[box.label] ?? box.label} ${box.score.toFixed(2)}`;
      context.fillStyle = css(colour);
      context.fillRect(left, top, context.measureText(text).width + 2 * line, 10 * line);
      context.fillStyle = colour[0] + colour[1] + colour[2] < 384 ? "white" : "black";
      context.fillText(text, left + line, top + line);
    }
  }

  legend() {
    return this.classes.map((text, n) => ({ text, colour: css(this.colours[n]) }));
  }

  summary(answer) {
    const texts = this.#shown(answer).map(({ label }) => this.classes[label] ?? String(label));
    return texts.length ? texts.join(", ") : "no boxes";
  }

  #shown({ boxes }) {
    return boxes.filter(({ score }) => score > LEAST_SCORE);
  }
}

const TASKS = {
  segmentation: Segmentation,
  depth: Depth,
  pose: Pose,
  detection: Detection,
  restoration: Restoration,
};

/**
 * Returns the task of a model by its metadata.
 * @param {object} about
 * @param {string} name The name of the network, for a sentence.
 */
export function taskOf(about, name) {
  const Task = Object.hasOwn(TASKS, about.task) ? TASKS[about.task] : null;
  if (Task) return new Task(about);
  throw new Fault(
    `${name} has task ${about.task}, which this page cannot draw: it draws ` +
      `${Object.keys(TASKS).join(", ")}.`,
  );
}

/** Returns an answer by its name. */
function named(answers, name) {
  if (answers[name]) return answers[name];
  const given = Object.keys(answers).join(", ");
  throw new Fault(`The model returns ${given}, and not ${name} as its task does: export it again.`);
}

function farthest(data) {
  let most = 1e-6;
  for (let n = 0; n < data.length; n++) if (data[n] > most) most = data[n];
  return most;
}

function fitted(answer, { canvas }) {
  return { x: canvas.width / answer.width, y: canvas.height / answer.height };
}
