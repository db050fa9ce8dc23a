// Step 6: the retarget at play, with the coin's own parameters and in whole numbers.

import { ask, coin, fillOwn, TooShort } from '../own.js'
import { chart, done, element, judge, number, one, roughly, span, svg } from '../ui.js'
import { blockWork, decodeBits, encodeBits, nextBits } from '../work.js'

const SHOWN = 120
const BEFORE = 40 // Blocks that are there to begin with.
const EASE = 64n // How many times easier than at the start it may become.

// A coin to play with, until the node has told its own.
const rule = { block_time: 10, difficulty_window: 45, retarget: true, pow_limit: 0x1f00ffff }
const slider = one('#rate')
let chain = null
let timer = null

// How many times the usual miners are at work.
const factor = () => 10 ** Number(slider.value)

// A chain that has long been in balance: its target is such that the usual miners find a block in the time wanted.
function begin() {
  const bits = encodeBits(decodeBits(rule.pow_limit) / EASE)
  const rows = Array.from({ length: rule.difficulty_window + 4 }, (_, i) => ({ timestamp: i * rule.block_time, bits }))
  const base = blockWork(decodeBits(bits))
  chain = { rows, clock: rows.at(-1).timestamp, base, mined: [], turn: { by: 1, blocks: 0 } }
  chain.rate = Number(chain.base) / rule.block_time
  for (let i = 0; i < BEFORE; i++) mineBlock(1)
}

function mineBlock(miners) {
  const { rows, mined } = chain
  const before = mined.at(-1)?.miners ?? miners
  if (miners !== before) chain.turn = { by: miners / before, blocks: 0 }
  const bits = nextBits(rows, rows.length, rule)
  const work = Number(blockWork(decodeBits(bits)))
  const solved = (-Math.log(1 - Math.random()) * work) / (chain.rate * miners)
  chain.clock += solved
  rows.push({ timestamp: Math.max(rows.at(-1).timestamp, Math.round(chain.clock)), bits })
  mined.push({ solved, difficulty: work / Number(chain.base), miners })
  chain.turn.blocks += 1
}

const average = (count) => {
  const last = chain.mined.slice(-count)
  return last.reduce((sum, { solved }) => sum + solved, 0) / last.length
}

function mine(count) {
  for (let i = 0; i < count; i++) mineBlock(factor())
  draw()
  const { by, blocks } = chain.turn
  const pace = average(Math.min(blocks, 10)) / rule.block_time
  if (by >= 8 && blocks >= 5 && pace < 0.6) done('fast')
  if (by <= 1 / 8 && blocks >= 5 && pace > 1.7) done('slow')
  const longer = average(20) / rule.block_time
  if (by >= 8 && blocks >= 25 && longer > 0.6 && longer < 1.7) done('settle')
}

function verdict() {
  if (chain.mined.length === BEFORE) return [null, 'An even pace so far. Now change how many miners there are.']
  const now = average(10) / rule.block_time
  if (now < 0.6) return ['bad', 'Blocks come too fast: the next ones are made harder.']
  if (now > 1.7) return ['bad', 'Blocks come too slowly: the next ones are made easier.']
  return ['good', 'The pace is about right.']
}

function draw() {
  const { mined } = chain
  const last = mined.at(-1)
  one('#rate-shown').textContent = `${Number(factor().toPrecision(2))} × the usual`
  one('#average').textContent = span(average(10))
  one('#wanted').textContent = span(rule.block_time)
  one('#difficulty').textContent = `${Number(last.difficulty.toPrecision(3))} × that of the start`
  one('#count').textContent = number(mined.length)
  judge(one('#verdict'), ...verdict())
  redraw()
}

// Times as bars up to four times the wanted one; difficulty and miners as lines, on a scale of powers of ten.
const redraw = chart(one('#chart'), (width, height) => {
  const rows = chain.mined.slice(-SHOWN)
  const step = width / SHOWN
  const tall = (solved) => Math.max(1, Math.min(1, solved / (4 * rule.block_time)) * height)
  const level = (times) => height / 2 - (Math.log10(times) / 1.5) * (height / 2)
  const line = (name, of) => {
    const points = rows.map((row, i) => `${(i + 0.5) * step},${level(of(row)).toFixed(1)}`)
    return svg('polyline', { class: name, points: points.join(' ') })
  }
  const wanted = height * 0.75
  return [
    ...rows.map(({ solved }, i) =>
      svg('rect', { class: 'bar', x: i * step + 0.5, width: step - 1, y: height - tall(solved), height: tall(solved) }),
    ),
    svg('line', { class: 'wanted', x1: 0, x2: width, y1: wanted, y2: wanted }),
    line('rate-line', ({ miners }) => miners),
    line('line', ({ difficulty }) => difficulty),
  ]
})

function stop() {
  clearInterval(timer)
  timer = null
  one('#run').setAttribute('aria-pressed', 'false')
  one('#run').textContent = 'Keep mining'
}

slider.addEventListener('input', draw)
for (const [id, value] of [
  ['#tenfold', 1],
  ['#usual', 0],
  ['#tenth', -1],
]) {
  one(id).addEventListener('click', () => {
    slider.value = value
    draw()
  })
}
one('#ten').addEventListener('click', () => mine(10))
one('#run').addEventListener('click', () => {
  if (timer) return stop()
  timer = setInterval(() => mine(1), 120)
  one('#run').setAttribute('aria-pressed', 'true')
  one('#run').textContent = 'Pause'
})
one('#reset').addEventListener('click', () => {
  stop()
  slider.value = 0
  begin()
  draw()
})

begin()
draw()

const ownRule = coin().then((told) => ({ ...told, pow_limit: Number.parseInt(told.pow_limit, 16) }))
ownRule.then(
  (told) => {
    const { block_time: time, difficulty_window: window } = told
    Object.assign(rule, { block_time: time, difficulty_window: window })
    if (!told.retarget) one('#coin-note').append(' In your own coin it is switched off: its difficulty never moves.')
    begin()
    draw()
  },
  () => {},
)

fillOwn(async () => {
  const told = await ownRule
  const { blocks } = await ask(`/v1/blocks?limit=${Math.min(1000, told.difficulty_window + 9)}`)
  const chainRows = blocks.reverse().map((block) => ({ ...block, bits: Number.parseInt(block.bits, 16) }))
  const hex = (bits) => bits.toString(16).padStart(8, '0')
  const newest = chainRows
    .slice(-8)
    .filter(({ height }) => height > 0)
    .reverse()
  if (!newest.length) throw new TooShort('a block that somebody has mined')
  const computed = newest.map(({ height }) => {
    const rows = chainRows.filter((row) => row.height < height)
    return nextBits(rows, height, told)
  })
  one('#own-rows').replaceChildren(
    ...newest.map(({ height, bits }, i) => {
      const cells = [number(height), hex(bits), hex(computed[i]), roughly(blockWork(decodeBits(bits)))]
      return element('tr', {}, ...cells.map((cell, at) => element('td', { class: at % 3 ? 'mono' : '' }, cell)))
    }),
  )
  const same = newest.every(({ bits }, i) => bits === computed[i])
  const rules = told.retarget ? 'Every one is what the rule asks for.' : 'In your coin the difficulty never moves.'
  judge(one('#own-verdict'), same ? 'good' : 'bad', same ? rules : 'They differ: do not believe this node.')
})
