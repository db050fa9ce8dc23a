// The calls of /openapi.json, to be tried out. Where this cannot run, the list below it stays.
(() => {
  const root = document.documentElement;
  const place = document.getElementById("swagger");
  const list = document.getElementById("calls");
  if (!window.SwaggerUIBundle) {
    root.classList.add("no-swagger");
    return;
  }

  // Swagger UI knows its dark colours by this class.
  const system = matchMedia("(prefers-color-scheme: dark)");
  const colour = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    root.classList.toggle("dark-mode", dark);
  };
  colour();
  system.addEventListener("change", colour);
  document.addEventListener("moneyer:theme", colour);

  const isStream = (operation) =>
    Object.values(operation?.responses ?? {}).some((each) => "text/event-stream" in (each?.content ?? {}));

  const ours = (system) => {
    const make = system.React.createElement;
    // Swagger UI's own layout has a heading and a <main>; so has the page around it.
    const PartOfPage = ({ getComponent, specSelectors }) => {
      const part = (name) => make(getComponent(name, true));
      const wantsToken = place.dataset.token === "yes";
      return make("div", { className: "swagger-ui" },
        part("SvgAssets"),
        part("errors"),
        specSelectors.loadingStatus() === "success" && make("div", null,
          wantsToken && make("div", { className: "scheme-container" }, part("AuthorizeBtnContainer")),
          part("operations"),
          part("Models")));
    };
    return {
      components: { PartOfPage },
      wrapComponents: {
        // A link within a button confuses who uses the keyboard. The address bar has the call's address all the same.
        DeepLink: () => ({ text }) => make("span", null, text),
        TextArea: (Original) => (props) => make(Original, { "aria-label": "Body", ...props }),
      },
      statePlugins: {
        spec: {
          wrapSelectors: {
            // A stream has no end: its answer would never be shown.
            allowTryItOutFor: (allowed) => (state, path, method) =>
              allowed(state, path, method) && !isStream(state.getIn(["json", "paths", path, method])?.toJS()),
          },
        },
      },
    };
  };

  // What Swagger UI leaves without a name or out of the keyboard's reach.
  const mend = () => {
    for (const table of place.querySelectorAll("table[role=region]:not([aria-label])")) {
      const call = table.closest(".opblock").querySelector(".opblock-summary-path").dataset.path;
      table.setAttribute("aria-label", `Answers of ${table.id.split("_")[0].toUpperCase()} ${call}`);
    }
    for (const button of place.querySelectorAll(".close-modal:not([aria-label])")) button.setAttribute("aria-label", "Close");
    for (const code of place.querySelectorAll("pre.microlight:not([tabindex])")) code.tabIndex = 0;
  };
  new MutationObserver(mend).observe(place, { childList: true, subtree: true });

  window.SwaggerUIBundle({
    url: "/openapi.json",
    domNode: place,
    plugins: [ours],
    layout: "PartOfPage",
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    validatorUrl: null,
    onComplete: () => {
      list.remove();
      place.hidden = false;
    },
  });
})();
