// Corrections as files that other programs read. Both formats hold the pixels row by row, 0 to 255, ink bright.

const UINT8 = 0x08; // the type of the elements, in IDX
const FRAME = 28;

/** @typedef {{readonly label: number, readonly pixels: Uint8Array}} Example   of 28 x 28 pixels */

/**
 * IDX, the format of MNIST: two zeros, the type, how many dimensions, each one's size as four bytes, then the elements.
 * @param {readonly number[]} shape
 * @param {readonly Uint8Array[]} pieces   the elements
 * @returns {Blob}
 */
function idx(shape, pieces) {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint8(2, UINT8);
  header.setUint8(3, shape.length);
  shape.forEach((size, i) => header.setUint32(4 + 4 * i, size));
  return new Blob([header, ...pieces], { type: "application/octet-stream" });
}

/** @param {readonly Example[]} examples */
export const idxImages = (examples) =>
  idx(
    [examples.length, FRAME, FRAME],
    examples.map((example) => example.pixels),
  );

/** @param {readonly Example[]} examples */
export const idxLabels = (examples) => idx([examples.length], [Uint8Array.from(examples, (example) => example.label)]);

/** A line for each example: its label, then its 784 pixels. @param {readonly Example[]} examples */
export const csv = (examples) =>
  new Blob(
    examples.map(({ label, pixels }) => `${label},${pixels.join(",")}\n`),
    { type: "text/csv" },
  );

/** @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers begin to read only later
}
