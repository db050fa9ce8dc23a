// Keeps a page true: one stream of /v1/events for all tabs of this browser, told on as events of `document.body`.
//
//   moneyer:block, :reorg, :transaction, :peer, :reset   detail: the event's JSON
//   moneyer:back      the node answers again; what happened meanwhile was not told
//   moneyer:news      something has changed: htmx asks for the page again (at most once in NEWS_PAUSE ms)
//
// A browser opens six connections to a server at most, so only one tab holds the stream: the one that has the lock.
// It hands each event on by a BroadcastChannel. Where there are no locks (plain HTTP beyond this machine), each tab
// holds a stream of its own, and lets it go while it is hidden.

const KINDS = ["block", "reorg", "transaction", "peer", "reset"];
const NEWS_PAUSE = 400;
const ASK_AGAIN = 2000;
const RETRY_FIRST = 500;
const RETRY_MOST = 5000;

const channel = "BroadcastChannel" in window ? new BroadcastChannel("moneyer-events") : null;
const state = document.getElementById("live-state");
const banner = document.getElementById("gone");
let wasAway = false;

// --- what is told -------------------------------------------------------------------------------------------------

function tell(kind, detail) {
  document.body.dispatchEvent(new CustomEvent(`moneyer:${kind}`, { detail }));
  if (kind !== "news") news();
}

let newsAt = 0;
let newsTimer = 0;
function news() {
  if (newsTimer || document.hidden) { isBehind = document.hidden || isBehind; return; }
  const wait = Math.max(0, newsAt + NEWS_PAUSE - performance.now());
  newsTimer = setTimeout(() => {
    newsTimer = 0;
    newsAt = performance.now();
    tell("news", null);
  }, wait);
}
let isBehind = false;

function receive(message) {
  if (message.kind === "state") show(message.detail);
  else tell(message.kind, message.detail);
}

function pass(kind, detail) {
  receive({ kind, detail });
  channel?.postMessage({ kind, detail });
}

channel?.addEventListener("message", (event) => {
  if (event.data?.kind === "who") { if (holding) channel.postMessage({ kind: "state", detail: current }); }
  else receive(event.data);
});

// A node that can't answer just now (5xx) leaves the page as it was (htmx-config): it is asked again a bit later.
document.body.addEventListener("htmx:response:error", (event) => {
  if (event.detail.ctx.response.status >= 500) setTimeout(news, ASK_AGAIN);
});

// --- how the connection is ----------------------------------------------------------------------------------------

// off: nothing is known yet · on: the stream is open · asking: the node answers, but has no stream for this browser (all
// places are taken), so the page asks again now and then · away: the node does not answer
const WORDS = { off: "\u00a0", on: "live", asking: "not live", away: "no answer" };
let current = "off";
function show(now) {
  current = now;
  state.dataset.state = now;
  state.querySelector(".live-text").textContent = WORDS[now];
  banner.hidden = now !== "away";
  if (now === "away") wasAway = true;
  if (now !== "on" && now !== "asking") return;
  if (wasAway) { wasAway = false; tell("back", null); }
  else news(); // what happened between the page's making and this moment was told to nobody
}

// --- the stream ---------------------------------------------------------------------------------------------------

let holding = false;
let source = null;
let retry = RETRY_FIRST;
let retryTimer = 0;

function open() {
  clearTimeout(retryTimer);
  source?.close();
  const opened = source = new EventSource("/v1/events");
  source.addEventListener("open", () => { retry = RETRY_FIRST; pass("state", "on"); });
  source.addEventListener("error", async () => {
    // The browser tries again by itself only while it has had no HTTP answer that refuses it: so we do it always.
    opened.close();
    const answers = await fetch("/healthz", { signal: AbortSignal.timeout(retry) }).then(() => true, () => false);
    if (source !== opened) return;
    // A node that is ending closes its streams first, and still answers in this moment.
    if (!answers) pass("state", "away");
    else if (retry > RETRY_FIRST) pass("state", "asking");
    retryTimer = setTimeout(open, retry);
    retry = Math.min(2 * retry, RETRY_MOST);
  });
  for (const kind of KINDS) {
    source.addEventListener(kind, (event) => pass(kind, JSON.parse(event.data)));
  }
}

function close() {
  clearTimeout(retryTimer);
  source?.close();
  source = null;
}

function begin() {
  if (navigator.locks) {
    channel?.postMessage({ kind: "who" });
    navigator.locks.request("moneyer-events", () => {
      holding = true;
      open();
      return new Promise(() => {}); // until the tab is gone
    });
    return;
  }
  holding = true;
  if (!document.hidden) open();
}

document.addEventListener("visibilitychange", () => {
  if (!navigator.locks) { if (document.hidden) close(); else { open(); news(); } }
  if (!document.hidden && isBehind) { isBehind = false; news(); }
});
// A page that the browser keeps for "back" must let go of the stream, or the others wait for it.
addEventListener("pagehide", close);
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  if (holding) open();
  news();
});
// Links between pages would else be held up by a stream that is still opening.
addEventListener("load", begin);

// --- states that pass ----------------------------------------------------------------------------------------------

// What a page says of a passing state (it is being synced, it is busy) ends without an event: the page is asked again.
let againTimer = 0;
function askAgain() {
  clearTimeout(againTimer);
  if (document.querySelector("#live [data-again]")) againTimer = setTimeout(news, ASK_AGAIN);
}

askAgain();
document.body.addEventListener("htmx:after:swap", askAgain);
