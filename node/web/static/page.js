// What every page does by itself in the browser: it says how long ago things were, slides new blocks in, shows where one
// is in a menu that is wider than the window, and copies.

function ago(seconds) {
  if (seconds < -60) return `${ago(-seconds).slice(0, -4)} ahead`; // a miner's clock
  if (seconds < 1) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function showTimes(within = document) {
  const now = Date.now();
  for (const each of within.querySelectorAll("time.ago")) {
    const text = ago((now - Date.parse(each.dateTime)) / 1000);
    if (each.textContent !== text) each.textContent = text;
    if (!each.classList.contains("told")) each.classList.add("told");
  }
  for (const each of within.querySelectorAll("button.copy[hidden]")) each.hidden = false;
}

// New blocks slide out of the next one and push the others on. Only what is painted moves: the layout is as it will be.
const SLIDE = { duration: 600, easing: "cubic-bezier(.2, .8, .2, 1)" };
const STILL = matchMedia("(prefers-reduced-motion: reduce)");
let tallest = 0;
function slideIn() {
  const cubes = [...document.querySelectorAll(".cube[data-height]")];
  if (cubes.length === 0) return;
  const before = tallest;
  tallest = Math.max(...cubes.map((each) => Number(each.dataset.height)));
  const isNew = (each) => Number(each.dataset.height) > before;
  const count = cubes.filter(isNew).length;
  if (before === 0 || count === 0 || cubes.length < 2 || STILL.matches) return;
  const from = `translateX(${-count * (cubes[1].offsetLeft - cubes[0].offsetLeft)}px)`;
  for (const each of cubes) {
    // Added to what still moves: a block that comes meanwhile goes on from there.
    each.animate([{ transform: from }, { transform: "none" }], { ...SLIDE, composite: "add" });
    if (isNew(each)) each.animate([{ opacity: 0 }, { opacity: 1 }], SLIDE);
  }
}

// On a narrow screen the menu is wider than the window: the page that one is on must stand in it.
function showWhereOneIs() {
  const here = document.querySelector(".top nav [aria-current]");
  const menu = here?.closest("nav");
  if (menu) menu.scrollLeft = here.offsetLeft - menu.offsetLeft - (menu.clientWidth - here.offsetWidth) / 2;
}

showWhereOneIs();
showTimes();
slideIn();
setInterval(() => { if (!document.hidden) showTimes(); }, 1000);
// Before the next frame is painted: htmx's own event may come after it, and the reader would see two states.
new MutationObserver(() => { showTimes(); slideIn(); }).observe(document.body, { childList: true, characterData: true, subtree: true });

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select and copy by hand";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
