/** A mistake or a missing part that the page states as a sentence. */
export class Fault extends Error {}

/**
 * Returns the sentence of an error; of an unexpected one, with what was attempted.
 * @param {unknown} error
 * @param {string} attempt A phrase such as "The camera cannot be used".
 * @returns {string}
 */
export function sentence(error, attempt) {
  if (error instanceof Fault) return error.message;
  const reason = error instanceof Error ? error.message : String(error);
  return `${attempt}: ${reason.replace(/\s+/g, " ").replace(/[.\s]+$/, "")}.`;
}
