// Bytes as text, in base64.

/** @param {Uint8Array} bytes */
export const pack = (bytes) => btoa(String.fromCharCode(...bytes));

/** @param {string} packed @throws {DOMException} where it is no base64 */
export const unpack = (packed) => Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
