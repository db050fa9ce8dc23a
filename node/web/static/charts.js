// Draws the charts of a page from /v1/stats, in the colours of the theme.
//
// In a template, with `macros.html` (it writes all of the markup below, and the files that a chart needs):
//
//   {% block scripts %}{{ m.chart_files() }}{% endblock %}
//   {{ m.chart("block_time", "Time between blocks", aim=coin.block_time, aim_label="wanted") }}
//
// The markup: a <figure class="chart"> with `data-series` (a series of /v1/stats), for amounts `data-decimals` and
// `data-symbol`, perhaps `data-aim` (a dashed line at this value) and `data-aim-label`, perhaps `data-height` (the
// tip's), and `hx-morph-skip`, so that htmx leaves the drawing alone. In it: a <figcaption>, a group of
// <button data-blocks="100"> (0: all), a <div class="plot">, an <input type="range"> and a <p class="reading">.
//
// Charts that show the same range share one request. News of the chain is drawn at most once in PAUSE ms. The range
// buttons and the slider, which moves the cursor from point to point, are reached by the keyboard; the paragraph says
// in words what the cursor is at, and else the lowest, the highest and the last value.

const POINTS = 240;
const PAUSE = 4000;
const FONT = "12px system-ui, sans-serif";
const SUMS = new Set(["transactions", "fees", "size"]); // of a point's blocks: shown as a mean a block
const AT_BLOCK = new Set(["difficulty", "issued"]); // of one block, not of those behind it
const FROM_ZERO = new Set(["transactions", "fees", "size", "block_time", "hash_rate"]);
const PREFIXES = [[1e18, "E"], [1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];

// --- numbers as the pages write them (templating.py) -------------------------------------------------------------

function digits(number) {
  if (Math.abs(number) >= 100) return Math.round(number).toLocaleString("en");
  return String(Number(number.toFixed(Math.abs(number) < 10 ? 2 : 1)));
}

function scaled(number, unit = "") {
  for (const [scale, prefix] of PREFIXES) {
    if (number >= scale) return `${digits(number / scale)} ${prefix}${unit}`;
  }
  return `${digits(number)} ${unit}`.trimEnd();
}

function span(seconds) {
  if (seconds < 60) return `${digits(seconds)} s`;
  const whole = Math.round(seconds);
  const [unit, name, below, belowName] =
    whole >= 86400 ? [86400, "d", 3600, "h"] : whole >= 3600 ? [3600, "h", 60, "min"] : [60, "min", 1, "s"];
  const rest = Math.floor((whole % unit) / below);
  return `${Math.floor(whole / unit).toLocaleString("en")} ${name}${rest ? ` ${rest} ${belowName}` : ""}`;
}

function writer(figure) {
  switch (figure.dataset.series) {
    case "block_time": return span;
    case "hash_rate": return (value) => scaled(value, "H/s");
    case "size": return (value) => scaled(value, "B");
    case "fees":
    case "issued": {
      const unit = 10 ** Number(figure.dataset.decimals);
      return (value) => {
        const coins = value / unit;
        const few = Math.abs(coins) < 10 ? Number(coins.toPrecision(4)) : Number(coins.toFixed(2));
        return `${few.toLocaleString("en", { maximumFractionDigits: 8 })} ${figure.dataset.symbol}`;
      };
    }
    default: return (value) => scaled(value);
  }
}

// --- what is asked for -------------------------------------------------------------------------------------------

let tip = null; // the height of the newest block that this page knows of

async function ask(query) {
  const answer = await fetch(`/v1/stats?${query}`);
  if (!answer.ok) throw new Error(`the node answered ${answer.status}`);
  const stats = await answer.json();
  tip = Math.max(tip ?? 0, stats.to);
  return stats;
}

async function askRange(blocks, names) {
  if (blocks && tip === null) await ask("series=issued&points=1");
  const from = blocks && tip > blocks ? tip - blocks : 1;
  return ask(`series=${names.join()}&from=${from}&points=${POINTS}`);
}

// The stats of a range, for all charts of the page that show it now: { range -> promise }, for this round.
function askOnce(round, blocks) {
  if (!round.has(blocks)) {
    const names = new Set(charts.filter((each) => each.blocks === blocks).map((each) => each.name));
    round.set(blocks, askRange(blocks, [...names]));
  }
  return round.get(blocks);
}

// --- one chart ---------------------------------------------------------------------------------------------------

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// Room for the labels of the vertical axis: never less than AXIS, so that a chart rarely changes its shape.
const AXIS = 66;
const pen = document.createElement("canvas").getContext("2d");
function widest(labels) {
  pen.font = FONT;
  return Math.max(AXIS, ...(labels ?? []).map((each) => pen.measureText(each).width + 14));
}

class Chart {
  constructor(figure) {
    this.figure = figure;
    this.name = figure.dataset.series;
    this.write = writer(figure);
    this.aim = figure.dataset.aim ? Number(figure.dataset.aim) : null;
    this.buttons = [...figure.querySelectorAll("button[data-blocks]")];
    this.blocks = Number(figure.querySelector("button[aria-pressed=true]")?.dataset.blocks ?? 0);
    this.plot = figure.querySelector(".plot");
    this.slider = figure.querySelector("input[type=range]");
    this.reading = figure.querySelector(".reading");
    this.drawn = null;
    this.stats = null;
    for (const button of this.buttons) {
      button.addEventListener("click", () => this.choose(Number(button.dataset.blocks)));
    }
    this.slider.addEventListener("input", () => this.point(Number(this.slider.value)));
    this.slider.addEventListener("blur", () => this.point(null));
    new ResizeObserver(() => this.fit()).observe(this.plot);
  }

  choose(blocks) {
    this.blocks = blocks;
    for (const button of this.buttons) button.setAttribute("aria-pressed", String(Number(button.dataset.blocks) === blocks));
    void this.load(new Map());
  }

  async load(round) {
    const wanted = this.blocks;
    let stats;
    try {
      stats = await askOnce(round, wanted);
    } catch {
      if (!this.drawn) this.reading.textContent = "The node does not answer: the chart comes once it does.";
      return; // the banner of the page says it too; the drawing stays
    }
    if (wanted !== this.blocks) return; // another range was chosen meanwhile
    this.stats = stats;
    this.show();
  }

  show() {
    const { heights, step, series } = this.stats;
    const values = series[this.name].map((each) => (each !== null && SUMS.has(this.name) ? each / step : each));
    this.values = values;
    this.slider.max = String(Math.max(0, heights.length - 1));
    this.slider.disabled = heights.length === 0;
    if (heights.length < 2) {
      this.drawn?.destroy();
      this.drawn = null;
      this.reading.textContent = "There are too few blocks for a chart yet.";
      return;
    }
    const columns = [heights, values];
    if (this.aim !== null) columns.push(heights.map(() => this.aim));
    if (this.drawn) this.drawn.setData(columns);
    else this.draw(columns);
    this.say(null);
  }

  draw(columns) {
    const axis = { stroke: () => colour("--muted"), grid: { stroke: () => colour("--line"), width: 1 }, ticks: { show: false } };
    const series = [
      {},
      { stroke: () => colour("--accent"), width: 2, fill: () => `color-mix(in srgb, ${colour("--accent")} 12%, transparent)`, points: { show: false } },
    ];
    if (this.aim !== null) series.push({ stroke: () => colour("--muted"), width: 1, dash: [4, 5], points: { show: false } });
    this.drawn = new uPlot({
      ...this.size(),
      series,
      legend: { show: false },
      cursor: { y: false, points: { size: 8 }, drag: { x: true, y: false } },
      scales: { x: { time: false }, y: { range: (plot, low, high) => this.range(low, high) } },
      axes: [
        { ...axis, font: FONT, size: 30, values: (plot, ticks) => ticks.map((each) => Number.isInteger(each) ? each.toLocaleString("en") : "") },
        { ...axis, font: FONT, size: (plot, labels) => widest(labels), values: (plot, ticks) => ticks.map((each) => this.write(each).replace(` ${this.figure.dataset.symbol}`, "")) },
      ],
      hooks: { setCursor: [(plot) => this.say(plot.cursor.left < 0 ? null : plot.cursor.idx ?? null)] },
    }, columns, this.plot);
  }

  range(low, high) {
    if (low === null) return [0, 1];
    if (low === high && !FROM_ZERO.has(this.name)) return [low - Math.abs(low) * .1, high + (Math.abs(high) * .1 || 1)];
    const room = (high - low) * .08;
    return [FROM_ZERO.has(this.name) ? 0 : low - room, (high + room) || 1];
  }

  size() {
    return { width: Math.max(120, this.plot.clientWidth), height: this.plot.clientHeight };
  }

  fit() {
    if (this.drawn && this.plot.clientWidth) this.drawn.setSize(this.size());
  }

  recolour() {
    this.drawn?.redraw(true);
  }

  // The cursor, moved by the slider: to a point, or away.
  point(index) {
    if (!this.drawn) return;
    if (index === null) this.drawn.setCursor({ left: -10, top: -10 });
    else this.drawn.setCursor({ left: this.drawn.valToPos(this.stats.heights[index], "x"), top: 10 });
  }

  at(index) {
    const { heights, step } = this.stats;
    const value = this.values[index];
    const height = heights[index].toLocaleString("en");
    const where = AT_BLOCK.has(this.name) ? `at block ${height}` : step === 1 ? `in block ${height}`
      : `in blocks ${(heights[index] - step + 1).toLocaleString("en")}–${height}`;
    return `${value === null ? "unknown" : this.write(value)} ${where}`;
  }

  say(index) {
    let text;
    if (index !== null && index < this.values.length) {
      text = this.at(index);
      this.slider.value = String(index);
    } else {
      const known = [...this.values.keys()].filter((each) => this.values[each] !== null);
      const by = (better) => known.reduce((best, each) => (better(this.values[each], this.values[best]) ? each : best), known[0]);
      text = known.length === 0 ? "No value is known for these blocks."
        : `Last ${this.at(known.at(-1))}. Lowest ${this.at(by((a, b) => a < b))}, highest ${this.at(by((a, b) => a > b))}.`;
      if (this.aim !== null) text += ` Dashed: ${this.figure.dataset.aimLabel || "aim"}, ${this.write(this.aim)}.`;
      this.slider.value = this.slider.max;
    }
    this.reading.textContent = text;
    this.slider.setAttribute("aria-valuetext", text);
  }
}

// --- all of them -------------------------------------------------------------------------------------------------

const charts = [...document.querySelectorAll("figure.chart")].map((figure) => {
  if (figure.dataset.height) tip = Math.max(tip ?? 0, Number(figure.dataset.height));
  return new Chart(figure);
});

function loadAll() {
  const round = new Map();
  for (const chart of charts) void chart.load(round);
}

let loadedAt = -PAUSE;
let timer = 0;
function refresh() {
  if (timer) return;
  timer = setTimeout(() => {
    timer = 0;
    loadedAt = performance.now();
    loadAll();
  }, Math.max(0, loadedAt + PAUSE - performance.now()));
}

function recolourAll() {
  for (const chart of charts) chart.recolour();
}

document.body.addEventListener("moneyer:block", (event) => { tip = Math.max(tip ?? 0, event.detail.height); });
document.body.addEventListener("moneyer:news", refresh);
document.addEventListener("moneyer:theme", recolourAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolourAll);
refresh();
