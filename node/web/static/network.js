// The graph of nodes on the page of the network. What it shows is read from the table below it, which the node wrote
// (and htmx keeps true): names are text of strangers, and go to the canvas as text alone.
//
// This node stands in the middle, its peers around it, theirs farther out. Nodes keep their places: a refresh changes
// colours and labels, and gives only new nodes a place; the button "Arrange" places all of them anew.
//
// Where the node belongs to a network from a graph, all of that is shown, and its shape says where its nodes stand.

import cytoscape from "./vendor/cytoscape/cytoscape.esm.min.js";
import { whileVisible } from "./look.js";

const CROWDED = 16; // from so many nodes on, labels are of one line
const LABEL = { wide: 122, crowded: 84 }; // room that a label needs, in pixels at full size
const EDGE = 20; // around the graph, in pixels
const LEAST_ZOOM = 0.62; // text stays readable; what does not fit is reached by dragging
const LONGEST = 21;

const container = document.getElementById("graph");
const shape = container.dataset.graph ?? "";
const isGraph = container.dataset.graph !== undefined;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// --- what is shown -----------------------------------------------------------------------------------------------

function read() {
  return [...document.querySelectorAll(".nodes tr[data-id]")].map((row) => ({
    row,
    id: `n${row.dataset.id}`,
    name: row.dataset.name,
    state: row.dataset.state,
    isSelf: row.dataset.self === "1",
    height: row.dataset.height,
    lag: Number(row.dataset.lag),
    letter: row.dataset.letter,
    colour: row.dataset.colour,
    links: JSON.parse(row.dataset.links).map((each) => `n${each}`),
  }));
}

// The connections of a graph, by their ids; empty where the node belongs to none.
function readEdges() {
  return new Map([...document.querySelectorAll(".edges tr[data-from]")].map(({ dataset }) => {
    const [source, target] = [`n${dataset.from}`, `n${dataset.to}`].sort();
    const said = [
      Number(dataset.latency) ? `${Number(dataset.latency).toLocaleString("en")} ms` : "",
      Number(dataset.loss) ? `${Number((dataset.loss * 100).toPrecision(3))} % lost` : "",
      dataset.rate ? `${Number(dataset.rate).toLocaleString("en")} B/s` : "",
    ];
    const label = dataset.state === "cut" ? "cut" : said.filter(Boolean).join("\n");
    return [`e${source} ${target}`, { source, target, state: dataset.state, label, own: 0 }];
  }));
}

const clip = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text);

// `port`: whether all nodes are at one host, so that their ports tell them apart.
function label(node, isCrowded, port) {
  const name = clip(node.name);
  const silent = node.state === "down" ? "no answer" : node.state === "refused" ? "refused" : node.state === "reserve" ? "in reserve" : node.state === "stopped" ? "does not run" : node.state === "silent" ? "no answer" : "";
  if (isGraph) return [name, silent || (node.letter && `${node.letter} · ${Number(node.height).toLocaleString("en")}`)].filter(Boolean).join("\n");
  if (isCrowded) return node.state === "self" || !node.letter ? name : `${node.letter} · ${port ? node.name.replace(/^.*:(\d+)$/, ":$1") : name}`;
  const tip = node.letter ? `tip ${node.letter} · ${Number(node.height).toLocaleString("en")}` : "";
  const lag = node.lag ? `${node.lag.toLocaleString("en")} behind` : "";
  return [name, [tip, lag, silent].filter(Boolean).join(" · ")].filter(Boolean).join("\n");
}

// --- where it stands ---------------------------------------------------------------------------------------------

// How many links each node is away from this one; 2 for those that no link reaches, and at most 2.
function rings(nodes) {
  const near = new Map(nodes.map((each) => [each.id, each]));
  const ring = new Map();
  const self = nodes.find((each) => each.state === "self");
  if (self) {
    ring.set(self.id, 0);
    for (const id of self.links) if (near.has(id)) ring.set(id, 1);
  }
  for (const each of nodes) if (!ring.has(each.id)) ring.set(each.id, each.state === "told" ? 2 : 1);
  return ring;
}

// Half axes of a ring's ellipse, as wide as the frame is, so large that the labels of `count` nodes have room.
function axes(ring, count, inner, room) {
  const aspect = Math.min(1.8, Math.max(0.8, container.clientWidth / container.clientHeight));
  const radius = Math.max(inner + 110, (count * room) / (2 * Math.PI), Math.min(165, Math.max(100, container.clientWidth / 3.2)) * ring);
  return { x: radius * Math.sqrt(aspect), y: radius / Math.sqrt(aspect), radius };
}

// Where the nodes of a graph stand whose name says it; null for those that Cytoscape places.
function arrangeShape(nodes) {
  const [kind, size = ""] = shape.split(":");
  const room = nodes.length >= CROWDED ? LABEL.crowded : LABEL.wide;
  const place = (at) => new Map(nodes.map((each, index) => [each.id, at(index)]));
  const circle = (index, count) => {
    const radius = Math.max(160, (count * room) / (2 * Math.PI));
    const angle = (2 * Math.PI * index) / count - Math.PI / 2;
    return { x: 1.15 * radius * Math.cos(angle), y: 0.95 * radius * Math.sin(angle) };
  };
  if (kind === "grid") {
    const columns = Number(size.split("x")[1]);
    return place((index) => ({ x: (index % columns) * room * 1.2, y: Math.floor(index / columns) * room }));
  }
  if (kind === "line") return place((index) => ({ x: index * room * 1.3, y: 0 }));
  if (kind === "star") return place((index) => (index ? circle(index - 1, nodes.length - 1) : { x: 0, y: 0 }));
  if (["ring", "complete", "smallworld"].includes(kind)) return place((index) => circle(index, nodes.length));
  if (kind === "tree") { // node n stands over 2n and 2n + 1
    const depth = Math.floor(Math.log2(nodes.length));
    return place((index) => {
      const row = Math.floor(Math.log2(index + 1));
      const column = (index + 1 - 2 ** row + 0.5) * 2 ** (depth - row);
      return { x: column * room, y: row * 110 };
    });
  }
  return null;
}

let ellipses = new Map();

function arrange(nodes) {
  const ring = rings(nodes);
  const room = nodes.length >= CROWDED ? LABEL.crowded : LABEL.wide;
  const places = new Map();
  ellipses = new Map();
  let inner = 0;
  for (const number of [0, 1, 2]) {
    const here = nodes.filter((each) => ring.get(each.id) === number);
    if (!here.length) continue;
    if (number === 0) { places.set(here[0].id, { x: 0, y: 0 }); continue; }
    // Two rows where they are many: each second node stands farther out.
    const isDouble = here.length > 18;
    const ellipse = axes(number, isDouble ? here.length * 0.6 : here.length, inner, room);
    ellipses.set(number, ellipse);
    // Beside those that they are linked with.
    const wanted = (each) => {
      const by = each.links.map((id) => places.get(id)).filter((at) => at && (at.x || at.y));
      return by.length ? Math.atan2(by.reduce((sum, at) => sum + at.y, 0), by.reduce((sum, at) => sum + at.x, 0)) : 0;
    };
    if (number === 2) here.sort((a, b) => wanted(a) - wanted(b));
    here.forEach((each, index) => {
      const angle = (2 * Math.PI * index) / here.length - (number === 2 ? Math.PI : Math.PI / 2);
      const out = isDouble && index % 2 ? 1 + 90 / ellipse.radius : 1;
      places.set(each.id, { x: out * ellipse.x * Math.cos(angle), y: out * ellipse.y * Math.sin(angle) });
    });
    inner = ellipse.radius + (isDouble ? 90 : 0);
  }
  return places;
}

// A place for a node that came later: in the middle of the widest gap of its ring.
function placeOne(number, room) {
  const ellipse = ellipses.get(number) ?? axes(number, 1, [...ellipses.values()].reduce((most, each) => Math.max(most, each.radius), 0), room);
  ellipses.set(number, ellipse);
  const angles = cy.nodes().filter((each) => each.scratch("ring") === number)
    .map((each) => Math.atan2(each.position("y") / ellipse.y, each.position("x") / ellipse.x)).sort((a, b) => a - b);
  let best = { width: 0, middle: -Math.PI / 2 };
  angles.forEach((angle, index) => {
    const next = index + 1 < angles.length ? angles[index + 1] : angles[0] + 2 * Math.PI;
    if (next - angle > best.width) best = { width: next - angle, middle: (next + angle) / 2 };
  });
  return { x: ellipse.x * Math.cos(best.middle), y: ellipse.y * Math.sin(best.middle) };
}

// --- the drawing -------------------------------------------------------------------------------------------------

function style() {
  const fg = colour("--fg"), card = colour("--card"), muted = colour("--muted"), line = colour("--line"), bad = colour("--bad");
  const rules = [
    { selector: "node", style: {
      "background-color": muted, "border-color": muted, "border-width": 2, width: 30, height: 30, label: "data(label)",
      "font-family": "system-ui, sans-serif", "font-size": 13, color: fg, "text-wrap": "wrap", "text-valign": "bottom",
      "text-margin-y": 5, "line-height": 1.25, "text-background-color": card, "text-background-opacity": 0.85,
      "text-background-padding": 2, "text-background-shape": "roundrectangle" } },
    { selector: "node[state = 'self']", style: { width: 46, height: 46, shape: "round-diamond", "font-weight": 700, "border-width": 3, "border-color": fg } },
    { selector: "node[state = 'told']", style: { width: 22, height: 22 } },
    { selector: "node[state = 'down'], node[state = 'refused'], node[state = 'reserve']", style: { "background-color": card, "border-style": "dashed" } },
    { selector: "edge", style: { width: 1.5, "line-color": line, "curve-style": "straight" } },
    { selector: "edge[?own]", style: { width: 2.5, "line-color": muted } },
    { selector: "node[?isSelf]", style: { shape: "round-diamond", width: 40, height: 40, "border-width": 3, "border-color": fg } },
    { selector: "node[state = 'stopped'], node[state = 'silent']", style: { "background-color": card, "border-style": "dashed" } },
    { selector: "edge[?label]", style: {
      label: "data(label)", "font-family": "system-ui, sans-serif", "font-size": 11, color: fg, "text-wrap": "wrap",
      "text-background-color": card, "text-background-opacity": 0.9, "text-background-padding": 2 } },
    { selector: "edge[state = 'open']", style: { "line-color": muted } },
    { selector: "edge[state = 'down']", style: { "line-style": "dotted", "line-color": muted } },
    { selector: "edge[state = 'cut']", style: { "line-style": "dashed", "line-color": bad, width: 2.5, color: bad } },
  ];
  for (let number = 0; number < 8; number++) {
    rules.push({ selector: `node[colour = '${number}'][state != 'down'][state != 'refused'][state != 'reserve'][state != 'stopped'][state != 'silent']`, style: { "background-color": colour(`--c${number}`), "border-color": colour(`--c${number}`) } });
  }
  rules.push({ selector: "node[state = 'self'], node[?isSelf]", style: { "border-color": fg } });
  return rules;
}

const cy = cytoscape({
  container, style: style(), userZoomingEnabled: false, boxSelectionEnabled: false, autounselectify: true,
  minZoom: 0.2, maxZoom: 2.5,
});

/* How far to move what lies from low to high, so that no room stays empty beside what is out of sight. */
function into(low, high, room) {
  if (high - low <= room - 2 * EDGE) return (room - low - high) / 2;
  return low > EDGE ? EDGE - low : high < room - EDGE ? room - EDGE - high : 0;
}

function fit() {
  cy.resize();
  if (cy.nodes().empty()) return;
  cy.fit(undefined, 34);
  const zoom = Math.min(1.15, Math.max(LEAST_ZOOM, cy.zoom()));
  if (zoom !== cy.zoom()) {
    cy.zoom(zoom);
    const self = cy.nodes("[state = 'self'], [?isSelf]");
    cy.center(zoom === LEAST_ZOOM && self.nonempty() ? self : undefined);
    const box = cy.elements().renderedBoundingBox();
    cy.panBy({ x: into(box.x1, box.x2, cy.width()), y: into(box.y1, box.y2, cy.height()) });
  }
}

function draw(isFirst) {
  const nodes = read();
  const isCrowded = nodes.length >= CROWDED;
  const port = new Set(nodes.filter((each) => each.state !== "self").map((each) => each.name.replace(/:\d+$/, ""))).size === 1;
  const ring = rings(nodes);
  const shaped = isFirst && isGraph ? arrangeShape(nodes) : null;
  const places = isFirst ? shaped ?? arrange(nodes) : new Map();
  const ids = new Set(nodes.map((each) => each.id));
  const edges = isGraph ? readEdges() : new Map();
  for (const each of isGraph ? [] : nodes) {
    for (const other of each.links) {
      const [source, target] = [each.id, other].sort();
      if (ids.has(other) && source !== target) edges.set(`e${source} ${target}`, { source, target, own: ring.get(source) === 0 || ring.get(target) === 0 ? 1 : 0 });
    }
  }
  cy.batch(() => {
    cy.elements().filter((each) => (each.isNode() ? !ids.has(each.id()) : !edges.has(each.id()))).remove();
    for (const each of nodes) {
      const data = { label: label(each, isCrowded, port), state: each.state, colour: each.colour, isSelf: isGraph && each.isSelf ? 1 : 0 };
      const known = cy.getElementById(each.id);
      if (known.nonempty()) {
        known.data(data);
        if (isFirst) known.position(places.get(each.id));
      } else {
        const number = ring.get(each.id);
        const position = places.get(each.id) ?? placeOne(number, isCrowded ? LABEL.crowded : LABEL.wide);
        cy.add({ group: "nodes", data: { id: each.id, ...data }, position }).scratch("ring", number);
      }
    }
    for (const [id, data] of edges) {
      const known = cy.getElementById(id);
      if (known.nonempty()) known.data(data);
      else cy.add({ group: "edges", data: { id, ...data } });
    }
  });
  if (isFirst && isGraph && !shaped) cy.layout({ name: "cose", animate: false, randomize: false, padding: 34, nodeRepulsion: () => 40000, idealEdgeLength: () => 110 }).run();
  if (isFirst) fit();
}

draw(true);
document.body.addEventListener("htmx:after:swap", () => draw(false));
document.getElementById("graph-fit").addEventListener("click", () => draw(true));
const middle = () => ({ x: cy.width() / 2, y: cy.height() / 2 });
document.getElementById("graph-in").addEventListener("click", () => cy.zoom({ level: cy.zoom() * 1.3, renderedPosition: middle() }));
document.getElementById("graph-out").addEventListener("click", () => cy.zoom({ level: cy.zoom() / 1.3, renderedPosition: middle() }));
cy.on("tap", "node", (event) => {
  for (const { row, id } of read()) {
    row.classList.toggle("is-chosen", id === event.target.id());
    if (id === event.target.id()) row.scrollIntoView({ block: "nearest" });
  }
});

const recolour = () => cy.style(style());
document.addEventListener("moneyer:theme", recolour);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
let width = container.clientWidth;
new ResizeObserver(() => {
  if (container.clientWidth === width) return;
  width = container.clientWidth;
  fit();
}).observe(container);
whileVisible();
