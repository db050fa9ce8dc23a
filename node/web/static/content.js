// Is a file the document or picture that an asset's `content` is the SHA-256 of? Computed here: nothing is uploaded.
import { sha256 } from "./learn/sha256.js";

const MOST = 256 * 2 ** 20; // bytes that are read: the whole file is in memory
const MOST_SHOWN = 16 * 2 ** 20;
const PICTURES = [ // what a file begins with, whatever it is called: only what surely is a picture is shown
  ["image/png", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["image/jpeg", [0xff, 0xd8, 0xff]],
  ["image/gif", [0x47, 0x49, 0x46, 0x38]],
  ["image/webp", [0x52, 0x49, 0x46, 0x46, null, null, null, null, 0x57, 0x45, 0x42, 0x50]],
];

const box = document.getElementById("content-check");
const input = document.getElementById("content-file");
const told = document.getElementById("content-told");
const picture = document.getElementById("content-picture");

const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

// crypto.subtle is missing on plain http beyond this machine.
async function hashOf(bytes) {
  return hex(crypto.subtle ? new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)) : sha256(bytes));
}

const typeOf = (bytes) =>
  PICTURES.find(([, start]) => start.every((byte, at) => byte === null || bytes[at] === byte))?.[0];

// As a data: URL, which the policy of the pages lets in.
function urlOf(bytes, type) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(new Blob([bytes], { type }));
  });
}

function say(text, kind) {
  told.textContent = text;
  told.className = kind ? `banner ${kind}` : "hint";
}

let latest = 0;
async function check() {
  const file = input.files[0];
  const turn = ++latest;
  picture.hidden = true;
  picture.removeAttribute("src");
  if (!file) return say("");
  if (file.size > MOST) return say("This file is too large to be read here: sha256sum can do it.", "warn");
  say("Computing its SHA-256 …");
  const bytes = new Uint8Array(await file.arrayBuffer());
  const found = await hashOf(bytes);
  if (turn !== latest) return;
  if (found !== box.dataset.content) return say(`It is another file: its SHA-256 is ${found}.`, "bad");
  const type = bytes.length <= MOST_SHOWN ? typeOf(bytes) : undefined;
  const unshown = type ? "" : " It is shown only where it is a picture (PNG, JPEG, GIF, WebP) of 16 MB at most.";
  say(`It is the one: its SHA-256 is the asset's content.${unshown}`, "good");
  if (!type) return;
  const url = await urlOf(bytes, type);
  if (turn !== latest) return;
  picture.src = url;
  picture.hidden = false;
}

const failed = (error) => say(`The file can't be read: ${error.message}`, "bad");
input.addEventListener("change", () => check().catch(failed));
