// Fails when the built page outgrows its budget: every file a first visit loads, as brotli sends it.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync } from "node:zlib";

const BUDGET = 60_000;
const dist = new URL("../dist/", import.meta.url).pathname;

const files = readdirSync(dist, { recursive: true })
  .map((name) => join(dist, String(name)))
  .filter((path) => statSync(path).isFile());
let total = 0;
for (const path of files) {
  const size = brotliCompressSync(readFileSync(path)).length;
  total += size;
  console.log(`${String(size).padStart(7)}  ${path.slice(dist.length)}`);
}
console.log(`${String(total).padStart(7)}  bytes in brotli, of ${BUDGET}`);
if (files.length === 0 || total > BUDGET) {
  console.error(files.length === 0 ? "size: nothing is built; run `npm run build` first." : "size: over the budget.");
  process.exit(1);
}
