/** Reads pictures from files: upright RGB bytes, without any change of colours. */
import { Fault } from "./fault.js";

const STRIP = 1 << 22;
/** The most pixels that are copied from a canvas at once, which phones limit. */
const HEADER = 1 << 18;

/**
 * Returns the picture of a file, and the bitmap to show it.
 * @param {File} file
 * @param {number} maxPixels The most pixels that a picture may have.
 * @returns {Promise<{picture: object, bitmap: ImageBitmap}>}
 */
export async function read(file, maxPixels) {
  const size = sizeOf(new DataView(await file.slice(0, HEADER).arrayBuffer()));
  check(file.name, size, maxPixels);
  let bitmap = null;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      colorSpaceConversion: "none",
      premultiplyAlpha: "none",
    });
  } catch {
    throw new Fault(
      size
        ? `${file.name} is damaged, or too large for this browser.`
        : `${file.name} is not a picture that this browser can read, expected a JPEG, PNG or ` +
          "WebP file.",
    );
  }
  check(file.name, bitmap, maxPixels);
  return { picture: pixelsOf(bitmap), bitmap };
}

/**
 * Returns a bitmap's RGB bytes, copied strip by strip.
 * @param {ImageBitmap} bitmap
 * @returns {object} {height, width, data, stride}
 */
function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  const rows = Math.max(1, Math.min(height, Math.floor(STRIP / width)));
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height: rows });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const data = new Uint8Array(width * height * 3);
  for (let top = 0, to = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.clearRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, top, width, count, 0, 0, width, count);
    const strip = context.getImageData(0, 0, width, count).data;
    for (let from = 0; from < strip.length; from += 4) {
      data[to++] = strip[from];
      data[to++] = strip[from + 1];
      data[to++] = strip[from + 2];
    }
  }
  return { height, width, data, stride: 3 };
}

function check(name, size, maxPixels) {
  if (size && size.width * size.height > maxPixels) {
    throw new Fault(
      `${name} has ${size.width}x${size.height} pixels, expected at most ` +
        `${maxPixels.toLocaleString("en")}: scale it down.`,
    );
  }
}

/** Returns the size that the header of a PNG or JPEG file states, or null for other files. */
function sizeOf(view) {
  if (view.byteLength > 24 && view.getUint32(0) === 0x89504e47) {
    return { width: view.getUint32(16), height: view.getUint32(20) };
  }
  if (view.byteLength < 4 || view.getUint16(0) !== 0xffd8) return null;
  for (let place = 2; place + 9 < view.byteLength && view.getUint8(place) === 0xff; ) {
    const marker = view.getUint8(place + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) return { height: view.getUint16(place + 5), width: view.getUint16(place + 7) };
    place += 2 + view.getUint16(place + 2);
  }
  return null;
}
