/**
 * Turns pictures of any size into a network's inputs, and its answers back into their size.
 *
 * It computes what nas_tf.input_geometry does, to the byte: the rule that resizes a picture (with
 * smoothing where it shrinks, as TensorFlow's), padding, windows that overlap, and the joining of
 * their answers. A picture is {height, width, data, stride}: bytes row by row, RGB at the start of
 * every `stride` bytes.
 */
import { Fault } from "./fault.js";

const RULES = ["longer", "shorter", "longer_at_most", "exact"];

/** The mapping between pictures and the input of a network. */
export class Geometry {
  /**
   * @param {object} about The metadata of a model.
   */
  constructor(about) {
    const given = about.input ?? {};
    const rule = given.resize ?? { exact: given.size };
    const isSize = (size) => Array.isArray(size) && size.length === 2 && size.every((n) => n > 0);
    const known = Object.keys(rule).every((key) => RULES.includes(key));
    if (!isSize(given.size) || !known || ("exact" in rule && !isSize(rule.exact))) {
      throw new Fault(
        `The metadata of ${about.name} state an input that this page does not know: export the ` +
          "network again.",
      );
    }
    this.size = given.size;
    this.rule = rule;
    this.windows = given.windows ?? true;
    this.overlap = Math.round(1 / (given.overlap ?? 1 / 4));
    this.padding = given.padding ?? 127;
    this.margin = given.margin ?? 0;
  }

  /**
   * Returns height and width of a picture as the network reads it, before padding.
   * @param {number[]} own Height and width of the picture.
   * @returns {number[]}
   */
  resizedSize(own) {
    const size = this.#byRule(own);
    if (this.windows) return size;
    const isTall = size[0] * this.size[1] > size[1] * this.size[0];
    const [most, side] = isTall ? [this.size[0], size[0]] : [this.size[1], size[1]];
    return scaled(size, Math.min(most, side), side);
  }

  /**
   * Returns the places of the windows of a picture: the starts of their rows and columns.
   * @param {number[]} own Height and width of the picture.
   */
  grid(own) {
    const size = this.resizedSize(own);
    const [rows, columns] = [0, 1].map((axis) =>
      starts(size[axis], this.size[axis], this.margin, this.overlap),
    );
    return { own, size, rows, columns, count: rows.length * columns.length };
  }

  /**
   * Writes a window of a resized picture into an input of the network.
   * @param {object} picture The picture at the grid's size.
   * @param {object} grid The places of the windows.
   * @param {number} index The number of the window, row by row.
   * @param {Uint8Array|Float32Array} input RGB of the input's size.
   */
  cut(picture, grid, index, input) {
    const [height, width] = this.size;
    const top = grid.rows[Math.floor(index / grid.columns.length)];
    const left = grid.columns[index % grid.columns.length];
    const { data, stride } = picture;
    if (top < 0 || left < 0) input.fill(this.padding);
    else if (top + height > picture.height || left + width > picture.width) {
      input.fill(this.padding);
    }
    const first = Math.max(0, -left);
    const end = Math.min(width, picture.width - left);
    const lowest = Math.min(height, picture.height - top);
    for (let y = Math.max(0, -top); y < lowest; y++) {
      let from = ((top + y) * picture.width + left + first) * stride;
      let to = (y * width + first) * 3;
      for (let x = first; x < end; x++, from += stride, to += 3) {
        input[to] = data[from];
        input[to + 1] = data[from + 1];
        input[to + 2] = data[from + 2];
      }
    }
  }

  /**
   * Copies what a window decides of the answer to the picture: the pixels nearest to its centre.
   * @param {object} map The window's values, {height, width, channels, data}.
   * @param {object} grid The places of the windows.
   * @param {number} index The number of the window.
   * @param {object} joined The values of the picture, of the picture's own size.
   */
  join(map, grid, index, joined) {
    const across = grid.columns.length;
    const rows = owned(grid.own[0], grid.size[0], this.size[0], grid.rows, Math.floor(index / across));
    const columns = owned(grid.own[1], grid.size[1], this.size[1], grid.columns, index % across);
    const { channels, data } = map;
    for (let y = rows.first; y < rows.end; y++) {
      const from = rows.sources[y - rows.first] * map.width;
      let to = (y * grid.own[1] + columns.first) * channels;
      for (const source of columns.sources) {
        const place = (from + source) * channels;
        for (let n = 0; n < channels; n++) joined.data[to++] = data[place + n];
      }
    }
  }

  /**
   * Returns a point (x, y) of the input in pixels of the picture, which has one window.
   * @param {number[]} point
   * @param {object} grid
   * @returns {number[]}
   */
  point([x, y], grid) {
    return [
      ((x + grid.columns[0] + 0.5) * grid.own[1]) / grid.size[1] - 0.5,
      ((y + grid.rows[0] + 0.5) * grid.own[0]) / grid.size[0] - 0.5,
    ];
  }

  #byRule(own) {
    const { longer, shorter, longer_at_most: most, exact } = this.rule;
    if (exact) return exact;
    if (longer) return scaled(own, longer, Math.max(...own));
    if (shorter) return scaled(own, shorter, Math.min(...own));
    return most ? scaled(own, Math.min(most, Math.max(...own)), Math.max(...own)) : own;
  }
}

/** Returns a size times target / side, rounded half up, at least one pixel. */
function scaled(size, target, side) {
  return size.map((n) => Math.max(Math.floor((2 * n * target + side) / (2 * side)), 1));
}

/** Returns the starts of windows along an axis; negative if one exceeds the picture. */
function starts(length, window, margin, overlap) {
  if (length <= window) return [-Math.floor((window - length) / 2)];
  const shared = Math.max(
    Math.floor(window / overlap),
    Math.min(Math.floor(window / 2), 2 * margin),
  );
  const beyond = length - window;
  const count = 1 + Math.ceil(beyond / (window - shared));
  return Array.from({ length: count }, (_, n) => Math.floor((n * beyond) / Math.max(count - 1, 1)));
}

/** Returns the pixels along an axis that a window decides, and where each is in the window. */
function owned(own, length, window, begins, index) {
  const border = (n) => Math.floor((begins[n] + window + begins[n + 1]) / 2);
  const from = index === 0 ? -Infinity : border(index - 1);
  const until = index === begins.length - 1 ? Infinity : border(index);
  let first = own;
  const sources = [];
  for (let n = 0; n < own; n++) {
    const nearest = nearestOf(n, own, length);
    if (nearest < from || nearest >= until) continue;
    first = Math.min(first, n);
    sources.push(nearest - begins[index]);
  }
  return { first, end: first + sources.length, sources };
}

/**
 * Returns the nearest of `length` pixels to the n-th of `count`, by their centres.
 * @param {number} n
 * @param {number} count
 * @param {number} length
 * @returns {number}
 */
export function nearestOf(n, count, length) {
  return Math.floor(((2 * n + 1) * length) / (2 * count));
}

/**
 * Returns a picture as RGB bytes of a size, smoothed where it shrinks, as tf.image.resize does.
 * @param {object} picture
 * @param {number[]} size Height and width.
 * @returns {object} The picture itself if it has the size.
 */
export function resized(picture, [height, width]) {
  if (picture.height === height && picture.width === width) return picture;
  const rows = spans(picture.height, height);
  const columns = spans(picture.width, width);
  const data = new Uint8ClampedArray(height * width * 3);
  const line = new Float32Array(picture.width * 3);
  for (let y = 0; y < height; y++) {
    addRows(picture, rows, y, line);
    writeRow(line, columns, data.subarray(y * width * 3, (y + 1) * width * 3));
  }
  return { height, width, data, stride: 3 };
}

/** Adds the rows of a picture that an output row reads, by their weights. */
function addRows({ data, width, stride }, rows, y, line) {
  line.fill(0);
  for (let n = 0; n < rows.counts[y]; n++) {
    const weight = rows.weights[y * rows.most + n];
    let from = (rows.firsts[y] + n) * width * stride;
    for (let to = 0; to < line.length; to += 3, from += stride) {
      line[to] = Math.fround(line[to] + Math.fround(weight * data[from]));
      line[to + 1] = Math.fround(line[to + 1] + Math.fround(weight * data[from + 1]));
      line[to + 2] = Math.fround(line[to + 2] + Math.fround(weight * data[from + 2]));
    }
  }
}

/** Writes the bytes of an output row; a Uint8ClampedArray rounds halves to the even neighbour. */
function writeRow(line, columns, out) {
  const { firsts, counts, weights, most } = columns;
  for (let x = 0, to = 0; x < firsts.length; x++, to += 3) {
    let red = 0;
    let green = 0;
    let blue = 0;
    for (let n = 0, from = firsts[x] * 3; n < counts[x]; n++, from += 3) {
      const weight = weights[x * most + n];
      red = Math.fround(red + Math.fround(weight * line[from]));
      green = Math.fround(green + Math.fround(weight * line[from + 1]));
      blue = Math.fround(blue + Math.fround(weight * line[from + 2]));
    }
    out[to] = red;
    out[to + 1] = green;
    out[to + 2] = blue;
  }
}

/** Returns which pixels each output pixel reads along an axis, with their weights, in float32. */
function spans(own, length) {
  const float = Math.fround;
  const inverse = float(1 / float(length / own));
  const radius = Math.max(inverse, 1);
  const most = Math.min(2 * Math.ceil(radius) + 1, own);
  const firsts = new Int32Array(length);
  const counts = new Int32Array(length);
  const weights = new Float32Array(length * most);
  const clamp = (n) => Math.min(Math.max(n, 0), own - 1);
  for (let n = 0; n < length; n++) {
    const centre = float(float(n + 0.5) * inverse);
    const first = clamp(Math.ceil(float(float(centre - radius) - 0.5)));
    const end = clamp(Math.floor(float(float(centre + radius) - 0.5))) + 1;
    let sum = 0;
    for (let source = first; source < end; source++) {
      const apart = float(float(float(source) + 0.5) - centre);
      const weight = Math.max(float(1 - Math.abs(float(apart * float(1 / radius)))), 0);
      weights[n * most + source - first] = weight;
      sum = float(sum + weight);
    }
    const factor = float(1 / sum);
    for (let k = 0; k < end - first; k++) weights[n * most + k] *= factor;
    firsts[n] = first;
    counts[n] = end - first;
  }
  return { firsts, counts, weights, most };
}
