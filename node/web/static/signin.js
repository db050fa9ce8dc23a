// Signs in with the one-time code that stands in this page's address, behind the #: no server or log has seen it there.
// It is taken out of the address and of the browser's history before anything else is done.

const code = location.hash.slice(1);
const said = document.getElementById("not-signed-in");
const waits = document.getElementById("signing-in");

async function signIn() {
  history.replaceState(null, "", location.pathname);
  waits.hidden = false;
  try {
    const answer = await fetch("/v1/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ code }),
    });
    if (answer.ok) {
      location.replace("/wallet");
      return;
    }
    said.textContent = (await answer.json()).error.message;
  } catch {
    said.textContent = "The node did not answer. Is it running? Make a new code with `moneyer open`.";
  }
  waits.hidden = true;
  said.hidden = false;
}

if (code) signIn();
// A code that is opened in a tab where this page stands already changes the part behind the # only.
addEventListener("hashchange", () => { if (location.hash.length > 1) location.reload(); });
