// The page of forks: says what a reorg did, as it happens, and lets new blocks appear.
//
// A reorg is told by /v1/events, and is seen as well by comparing the drawing before and after: so one that happened
// while the node or the stream was away is told too. Its banner stays, and what it says of the mempool is kept true:
// htmx asks the page of the branch that was left (/forks/branch/…) again at each news.

import { whileVisible } from "./look.js";

const MOST_BANNERS = 3;
const place = document.getElementById("reorgs");
const told = new Map(); // the tip that was left -> the sentence about it

function blocks() {
  const found = new Map();
  for (const each of document.querySelectorAll(".tree .block")) {
    found.set(each.dataset.hash, { height: Number(each.dataset.height), isMain: each.classList.contains("active") });
  }
  return found;
}

const count = (number, word) => `${number.toLocaleString("en")} ${number === 1 ? word : `${word}s`}`;

function tellReorg(oldTip, text) {
  if (told.has(oldTip)) return;
  const banner = document.createElement("section");
  banner.className = "banner warn reorg";
  const head = document.createElement("h2");
  head.textContent = "A reorg: the main chain has changed its branch";
  const about = document.createElement("p");
  about.textContent = text;
  told.set(oldTip, about);
  const more = document.createElement("div");
  for (const [name, value] of Object.entries({
    "hx-get": `/forks/branch/${oldTip}`, "hx-trigger": "load, moneyer:news from:body",
    "hx-select": "#fates", "hx-swap": "innerMorph",
  })) more.setAttribute(name, value);
  const link = document.createElement("a");
  link.href = `/forks/branch/${oldTip}`;
  link.textContent = "What became of the branch, block by block";
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => banner.remove());
  const foot = document.createElement("p");
  foot.className = "foot";
  foot.append(link, close);
  banner.append(head, about, more, foot);
  place.prepend(banner);
  while (place.children.length > MOST_BANNERS) place.lastChild.remove();
  htmx.process(more);
}

document.body.addEventListener("moneyer:reorg", (event) => {
  const { fork_height: fork, disconnected, old_tip: oldTip, height } = event.detail;
  const text = `${count(disconnected, "block")} above height ${fork.toLocaleString("en")} left the main chain, `
    + `${count(height - fork, "block")} came in their place.`;
  tellReorg(oldTip, text);
  told.get(oldTip).textContent = text; // where the drawing was the first to tell, it could say less
});

let before = blocks();
document.body.addEventListener("htmx:after:swap", () => {
  const now = blocks();
  const left = [...now].filter(([hash, each]) => !each.isMain && before.get(hash)?.isMain);
  if (left.length) {
    const [oldTip] = left.reduce((best, each) => (each[1].height > best[1].height ? each : best));
    tellReorg(oldTip, `${count(left.length, "block")} left the main chain; what came in their place stands below.`);
  }
  for (const each of document.querySelectorAll(".tree .block")) {
    each.classList.toggle("is-new", before.size > 0 && !before.has(each.dataset.hash));
  }
  before = now;
});

whileVisible();
