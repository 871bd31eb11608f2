/** MD5 of a file, which is DVC's: read in parts, so that a large one neither fills the memory nor blocks the page. */
import SparkMD5 from "spark-md5";

const PART = 4 * 1024 * 1024;

/**
 * @param {Blob} file
 * @param {(done: number) => boolean} going told of the bytes so far; false stops
 * @returns {Promise<string|null>} hexadecimal; null when it was stopped
 */
export async function md5(file, going) {
  const hash = new SparkMD5.ArrayBuffer();
  for (let start = 0; start < file.size; start += PART) {
    if (!going(start)) return null;
    hash.append(await file.slice(start, start + PART).arrayBuffer());
  }
  return going(file.size) ? hash.end() : null;
}
