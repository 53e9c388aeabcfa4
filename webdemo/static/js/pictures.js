// Picture files: chosen, dropped onto the page, or pasted.

const MOST_BYTES = 16 * 2 ** 20 - 2 ** 12; // what the server takes, less what the form around the file needs
const SIDE = 1024; // pixels: no screen shows more of it on the pad, and a photo of 12 megapixels fills 48 MB
const KINDS = [
  /^\x89PNG\r\n\x1a\n/,
  /^\xff\xd8\xff/, // JPEG
  /^GIF8[79]a/,
  /^BM/, // BMP
  /^RIFF....WEBP/s,
];

/**
 * @typedef {object} Picture
 * @property {CanvasImageSource} image   to be drawn, perhaps smaller than the picture itself
 * @property {number} width   of the picture itself, in pixels, the right way up
 * @property {number} height
 * @property {File} [file]   the original, where there is one
 */

/**
 * @param {File} file
 * @returns {Promise<Picture>}
 * @throws {Error} whose message is a sentence to show
 */
export async function open(file) {
  const name = file.name ? `“${file.name}”` : "This";
  if (file.size > MOST_BYTES) {
    throw new Error(`${name} has ${(file.size / 2 ** 20).toFixed(0)} MB; at most 16 MB can be read. Make it smaller.`);
  }
  if (!file.size) throw new Error(`${name} is empty. Choose another picture.`);
  const start = String.fromCharCode(...new Uint8Array(await file.slice(0, 16).arrayBuffer()));
  if (!KINDS.some((kind) => kind.test(start))) {
    throw new Error(`${name} is not a picture that can be read here. Use PNG, JPEG, WebP, GIF or BMP.`);
  }
  try {
    return await decode(file);
  } catch {
    throw new Error(`${name} is damaged: your browser cannot show it. Try another picture.`);
  }
}

async function decode(file) {
  const bitmap = await createImageBitmap(file); // turned as its EXIF data says
  const { width, height } = bitmap;
  const scale = Math.min(SIDE / Math.max(width, height), 1);
  const image = document.createElement("canvas");
  image.width = Math.max(Math.round(width * scale), 1);
  image.height = Math.max(Math.round(height * scale), 1);
  const context = image.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, image.width, image.height);
  bitmap.close();
  return { image, width, height, file };
}

/**
 * Everywhere a file may come from.
 * @param {object} elements
 * @param {HTMLInputElement} elements.input
 * @param {HTMLElement} elements.button   opens it
 * @param {HTMLElement} elements.target   is shown while a file is dragged over the page
 * @param {(file: File | undefined) => void} onFile   undefined: what was dropped is no file
 */
export function receive({ input, button, target }, onFile) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) onFile(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (!file) return; // text, which is none of our business
    event.preventDefault();
    onFile(file);
  });

  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    target.hidden = false;
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) target.hidden = true; // out of the window, not only out of one element
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault(); // never leave the page for what was dropped on it
    target.hidden = true;
    onFile(event.dataTransfer.files[0]);
  });
}
