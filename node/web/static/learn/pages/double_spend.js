// Step 8: a double spend, computed and played.

import { ask, fillOwn, TooShort } from '../own.js'
import { chart, done, element, judge, number, one, plural, svg, tell } from '../ui.js'

const GIVES_UP = 40 // Blocks that she is behind.
const MOST_WAIT = 12
const share = one('#share')
const wait = one('#wait')
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const calm = matchMedia('(prefers-reduced-motion: reduce)').matches
let played = new Map()
let busy = false

const q = () => Number(share.value) / 100
const z = () => Number(wait.value)
const percent = (chance) => {
  if (chance > 0 && chance < 0.0001) return 'less than 1 in 10,000'
  return `${Number((100 * chance).toPrecision(chance < 0.1 ? 2 : 3))} %`
}

// Her chance: while the others find z blocks she finds k (negative binomial); then she has to get one ahead of them,
// which succeeds with (q/p)^d from d blocks short of it (the gambler's ruin).
function chance(q, z) {
  const p = 1 - q
  if (q >= p) return 1
  let fails = 0
  let exactly = p ** z // that she has found k blocks by then
  for (let k = 0; k <= z; k++) {
    fails += exactly * (1 - (q / p) ** (z - k + 1))
    exactly *= ((z + k) / (k + 1)) * q
  }
  return 1 - fails
}

// One attack, block by block: yields [honest, secret], and ends with whether she won.
function* attack(q, z) {
  let [honest, secret] = [0, 0]
  while (honest - secret < GIVES_UP) {
    if (honest >= z && secret > honest) return true
    if (Math.random() < q) secret += 1
    else honest += 1
    yield [honest, secret]
  }
  return false
}

function outcome(q, z) {
  const steps = attack(q, z)
  for (;;) {
    const { done: over, value } = steps.next()
    if (over) return value
  }
}

const key = () => `${share.value} ${wait.value}`

function note(won, count) {
  const before = played.get(key()) ?? { share: share.value, wait: z(), won: 0, count: 0 }
  played.set(key(), { ...before, won: before.won + won, count: before.count + count })
}

function draw() {
  const here = played.get(key()) ?? { won: 0, count: 0 }
  one('#share-shown').textContent = `${share.value} %`
  one('#wait-shown').textContent = plural(z(), 'confirmation')
  share.setAttribute('aria-valuetext', `${share.value} percent`)
  wait.setAttribute('aria-valuetext', plural(z(), 'confirmation'))
  one('#theory').textContent = percent(chance(q(), z()))
  one('#played').textContent = number(here.count)
  one('#won').textContent = here.count ? `${number(here.won)} (${percent(here.won / here.count)})` : '0'
  one('#enough').textContent = enough()
  redraw()
}

function enough() {
  for (let blocks = 0; blocks <= 500; blocks++) if (chance(q(), blocks) < 0.001) return plural(blocks, 'confirmation')
  return q() < 0.5 ? 'more than 500' : 'no number is enough'
}

const redraw = chart(one('#chart'), (width, height) => {
  const x = (blocks) => 50 + (blocks * (width - 70)) / MOST_WAIT
  const y = (chanceOf) => 15 + (1 - chanceOf) * (height - 50)
  const pointAt = (blocks) => `${x(blocks)},${y(chance(q(), blocks)).toFixed(1)}`
  const points = Array.from({ length: MOST_WAIT + 1 }, (_, blocks) => pointAt(blocks))
  const dots = [...played.values()].filter((row) => row.share === share.value)
  return [
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((level) => [
      svg('line', { class: 'rule', x1: 50, x2: width - 20, y1: y(level), y2: y(level) }),
      svg('text', { class: 'axis end', x: 42, y: y(level) + 4 }, `${100 * level} %`),
    ]),
    ...[0, 2, 4, 6, 8, 10, 12].map((blocks) => svg('text', { class: 'axis', x: x(blocks), y: height - 14 }, blocks)),
    svg('line', { class: 'wanted', x1: x(z()), x2: x(z()), y1: y(0), y2: y(1) }),
    svg('polyline', { class: 'line', points: points.join(' ') }),
    ...dots.map((row) => svg('circle', { class: 'dot', cx: x(row.wait), cy: y(row.won / row.count), r: 6 })),
  ]
})

function drawRace(honest, secret) {
  const blocksOf = (count, kind) =>
    Array.from({ length: Math.min(count, 60) }, (_, i) =>
      element('span', { class: `race-block ${kind}${kind === 'honest' && i < z() ? ' confirms' : ''}` }),
    )
  one('#honest').replaceChildren(...blocksOf(honest, 'honest'))
  one('#secret').replaceChildren(...blocksOf(secret, 'secret'))
  one('#race').setAttribute('aria-label', `The others have ${plural(honest, 'block')}, Mallory has ${secret}.`)
}

async function playOne() {
  if (busy) return
  busy = true
  const steps = attack(q(), z())
  judge(one('#verdict'), null, 'She pays, and begins to mine in secret …')
  let [honest, secret] = [0, 0]
  let won
  for (;;) {
    const { done: over, value } = steps.next()
    if (over) {
      won = value
      break
    }
    ;[honest, secret] = value
    drawRace(honest, secret)
    if (!calm) await sleep(70)
  }
  note(won ? 1 : 0, 1)
  const lost = `She gave up: ${secret} blocks against ${honest}. The shop keeps its money.`
  const wins = `She won: ${plural(secret, 'block')} against ${honest}. The goods are gone, and so is the money.`
  judge(one('#verdict'), won ? 'bad' : 'good', won ? wins : lost)
  draw()
  done('one')
  busy = false
}

function playMany() {
  const count = 1000
  let won = 0
  for (let i = 0; i < count; i++) if (outcome(q(), z())) won += 1
  note(won, count)
  const says = `She won ${number(won)} of ${number(count)} attacks; computed were ${percent(chance(q(), z()))}.`
  judge(one('#verdict'), won > count / 100 ? 'bad' : 'good', says)
  draw()
  done('many')
  if (z() >= 6 && q() <= 0.3 && q() >= 0.1) done('wait')
  if (q() > 0.5 && z() >= 6) done('half')
}

one('#play-one').addEventListener('click', playOne)
one('#play-many').addEventListener('click', playMany)
for (const slider of [share, wait]) slider.addEventListener('input', draw)
draw()
drawRace(0, 0)

fillOwn(async () => {
  const blocks = (await ask('/v1/blocks?limit=100')).blocks.filter(({ height }) => height)
  if (blocks.length < 5) throw new TooShort('five blocks')
  const counts = new Map()
  for (const { miner } of blocks) counts.set(miner, (counts.get(miner) ?? 0) + 1)
  const most = Math.max(...counts.values())
  const part = Math.round((100 * most) / blocks.length)
  const miners = plural(counts.size, 'address', 'addresses')
  const found = `The newest ${number(blocks.length)} blocks of your chain were found for ${miners}.`
  tell(one('#own-about'), `${found} The largest one has ${part} % of them${part > 50 ? ': more than half.' : '.'}`)
  const button = one('#own-use')
  button.disabled = false
  button.addEventListener('click', () => {
    share.value = part
    draw()
    done('own')
    share.focus()
  })
})
