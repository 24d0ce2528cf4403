/** Reads the metadata that `nas-tf export` appends to a TFLite file as a ZIP archive. */
import { Fault } from "./fault.js";

const SCHEMA = 1;
const FILE = "metadata.json";
const [END, ENTRY] = [0x06054b50, 0x02014b50];
const LONGEST_COMMENT = 65535;

/**
 * Returns the metadata of a model; raises a Fault if there are none, or of another version.
 * @param {Uint8Array} content The content of the file.
 * @param {string} name The name that a sentence states.
 * @returns {object}
 */
export function metadataOf(content, name) {
  const text = fileOf(content, FILE);
  let about = null;
  try {
    about = JSON.parse(text ?? "null");
  } catch {
    about = null;
  }
  if (about === null || typeof about !== "object") {
    throw new Fault(`${name} has no metadata that can be read: export it again with nas-tf export.`);
  }
  if (about.schema !== SCHEMA) {
    throw new Fault(
      `${name} was exported by another version of nas-tf (its metadata have schema ` +
        `${about.schema}, this page reads ${SCHEMA}): export it again, or serve it with that version.`,
    );
  }
  return about;
}

/** Returns the text of a file that is stored uncompressed in the archive, or null. */
function fileOf(content, wanted) {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const end = endOf(view);
  if (end === null) return null;
  const size = view.getUint32(end + 12, true);
  const shift = end - size - view.getUint32(end + 16, true);
  const text = new TextDecoder();
  try {
    for (let place = end - size; place < end && view.getUint32(place, true) === ENTRY; ) {
      const [name, extra, comment] = [28, 30, 32].map((n) => view.getUint16(place + n, true));
      const isStored = view.getUint16(place + 10, true) === 0;
      if (isStored && text.decode(content.subarray(place + 46, place + 46 + name)) === wanted) {
        const local = shift + view.getUint32(place + 42, true);
        const first =
          local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
        return text.decode(content.subarray(first, first + view.getUint32(place + 20, true)));
      }
      place += 46 + name + extra + comment;
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return null;
}

/** Returns where the record that ends an archive begins, or null. */
function endOf(view) {
  const least = Math.max(0, view.byteLength - LONGEST_COMMENT - 22);
  for (let place = view.byteLength - 22; place >= least; place--) {
    if (view.getUint32(place, true) === END) return place;
  }
  return null;
}
