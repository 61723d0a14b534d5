// Copies what pages need out of node_modules, and compiles the style sheet. Run by make css.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import subsetFont from "subset-font";

const root = new URL("../../", import.meta.url);
const modules = new URL("node_modules/", import.meta.url);
const read = (path) => readFileSync(new URL(path, modules), "utf8");
const version = (name) => JSON.parse(read(`${name}/package.json`)).version;
const write = (path, text) => writeFileSync(new URL(path, root), text);

// htmx, with its licence in the file that is served.
const licence = read("htmx.org/LICENSE").trim();
write(
  "static/js/htmx.min.js",
  `/*! htmx ${version("htmx.org")}, https://htmx.org\n\n${licence} */\n${read("htmx.org/dist/htmx.min.js").trim()}\n`,
);

// The typeface, with its licence beside it: of the letters that base.css names, the weights we use.
const inter = (path) => new URL(`@fontsource-variable/inter/${path}`, modules);
const named = readFileSync(new URL("base.css", import.meta.url), "utf8").match(/unicode-range:([^;]+)/)[1];
const letters = [...named.matchAll(/U\+(\w+)(?:-(\w+))?/g)].flatMap(([, first, last = first]) => {
  const [start, end] = [parseInt(first, 16), parseInt(last, 16)];
  return Array.from({ length: end - start + 1 }, (_, place) => String.fromCodePoint(start + place));
});
const font = await subsetFont(
  readFileSync(inter("files/inter-latin-wght-normal.woff2")),
  letters.join(""),
  { targetFormat: "woff2", variationAxes: { wght: { min: 400, max: 600 } } },
);
mkdirSync(new URL("static/fonts/", root), { recursive: true });
write("static/fonts/inter.woff2", font);
copyFileSync(inter("LICENSE"), new URL("static/fonts/LICENSE.txt", root));

// Only the drawing of each icon: the tag that shows it brings its own <svg>.
const icons = "templates/icons/";
const names = readFileSync(new URL("icons.txt", import.meta.url), "utf8").split(/\s+/).filter(Boolean);
mkdirSync(new URL(icons, root), { recursive: true });
for (const file of readdirSync(new URL(icons, root))) {
  if (!names.includes(file.replace(".svg", ""))) rmSync(new URL(icons + file, root));
}
for (const name of names) {
  const drawing = read(`lucide-static/icons/${name}.svg`).match(/<svg[^>]*>([\s\S]*)<\/svg>/)[1];
  write(`${icons}${name}.svg`, drawing.trim().replace(/\s*\n\s*/g, "") + "\n");
}
write(
  `${icons}LICENSE`,
  `Icons of Lucide ${version("lucide-static")}, https://lucide.dev\n\n${read("lucide-static/LICENSE")}`,
);

// Into a file beside it first, so that a running server never reads half of it.
const sheet = new URL("static/css/wallgent.css", root).pathname;
execFileSync(
  new URL(".bin/tailwindcss", modules).pathname,
  ["--input", "wallgent.css", "--output", `${sheet}.new`, "--minify"],
  { cwd: new URL(".", import.meta.url).pathname, stdio: ["inherit", "inherit", "pipe"] },
);
// As the template tag `asset` writes it, so that the preloaded file is the one that is used.
const digest = createHash("sha256").update(font);
const hashed = readFileSync(`${sheet}.new`, "utf8").replace(
  "inter.woff2",
  `inter.woff2?v=${digest.digest("hex").slice(0, 12)}`,
);
writeFileSync(`${sheet}.new`, hashed);
renameSync(`${sheet}.new`, sheet);
