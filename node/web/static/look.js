// Other nodes move without an event of this one: a page that shows them asks again by itself, as long as it is seen.

const EVERY = 3000;

export function whileVisible() {
  setInterval(() => {
    const isAway = document.getElementById("live-state").dataset.state === "away";
    if (!document.hidden && !isAway) document.body.dispatchEvent(new CustomEvent("moneyer:look"));
  }, EVERY);
}
