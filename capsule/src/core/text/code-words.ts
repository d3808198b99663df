/** Codes of the hub and of nodes in words, for codes without a sentence of their own. */

const CODE = /^[a-z][a-z0-9]*(?:[._-][a-z0-9]+)+$/;

/** "packages broken" for `job.packages_broken`. Any other text is returned as it is. */
export const codeWords = (text: string): string => (CODE.test(text) ? text.replace(/^.*\./, "").replace(/[_-]/g, " ") : text);
