/** Finds joints on heatmaps, as nas_tf.tasks.heatmaps does. */

const STRIDE = 4;

/**
 * Returns x, y and the height of the peak of each joint, in pixels of the input.
 * @param {{data: Float32Array, shape: number[]}} maps Of shape [1, height, width, joints].
 * @returns {{data: Float32Array}}
 */
export function joints({ data, shape: [, height, width, count] }) {
  const found = new Float32Array(count * 3);
  for (let joint = 0; joint < count; joint++) {
    const at = (row, column) => data[(row * width + column) * count + joint];
    const best = highest(data, joint, count);
    if (best < 0) {
      found.set([NaN, NaN, -1e9], joint * 3);
      continue;
    }
    const [row, column] = [Math.floor(best / width), best % width];
    const heightAt = (y, x) => {
      const isInside = y >= 0 && y < height && x >= 0 && x < width;
      const value = isInside ? at(y, x) : at(row, column);
      return Number.isFinite(value) ? value : -1e9;
    };
    const towards = (more, less) => 0.25 * Math.sign(more - less);
    const x = column + towards(heightAt(row, column + 1), heightAt(row, column - 1));
    const y = row + towards(heightAt(row + 1, column), heightAt(row - 1, column));
    const place = [(x + 0.5) * STRIDE - 0.5, (y + 0.5) * STRIDE - 0.5, at(row, column)];
    found.set(place, joint * 3);
  }
  return { data: found };
}

/** Returns the first pixel with the highest finite value of a joint, -1 if there is none. */
function highest(data, joint, count) {
  let best = -1;
  let most = -1e9;
  for (let place = joint, pixel = 0; place < data.length; place += count, pixel++) {
    if (Number.isFinite(data[place]) && data[place] > most) {
      most = data[place];
      best = pixel;
    }
  }
  return best;
}
