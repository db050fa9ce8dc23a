// Step 3: five blocks in a row. One is changed, what follows breaks, and all of it can be mined again.

import { blockHash, decodeBlock, encodeHeader, extraOf, merkleRoot, show, toHex, txidOf } from '../bytes.js'
import { mine } from '../mining.js'
import { ask, fillOwn, newest, rawBlock, TooShort } from '../own.js'
import { search } from '../search.js'
import { coins, done, each, judge, number, one, plural, roughly, showHash, span, tell, unitsOf } from '../ui.js'
import { blockWork, decodeBits, isLowEnough } from '../work.js'

const BITS = { 2: 0x2000ffff, 3: 0x1f0fffff, 4: 0x1f00ffff, 5: 0x1e0fffff }
const SAYS = ['Ann has 50 coins', 'Ann pays Ben 5', 'Ben pays Cleo 2', 'Ann pays Dan 10', 'Cleo pays Ann 1']
const GONE = 'Points at a block that is gone'
const rows = each('.chain-block')

let blocks = []
let decimals = 0
let running = null
let stopped = false
const cost = { mined: 0, hashes: 0, seconds: 0 }

const rootOf = (block) => merkleRoot([txidOf(block.coinbase), ...block.others])
const hashOf = (block) => blockHash(block.header)

// Five blocks with their work, to play with.
function playBlocks(bits) {
  const made = []
  for (const [i, words] of SAYS.entries()) {
    const fields = { kind: 'coinbase', height: i + 1, receiver: new Uint8Array(33), amount: 0 }
    const coinbase = { ...fields, extra: extraOf(words) }
    const prev = made.length ? hashOf(made.at(-1)) : new Uint8Array(32)
    const header = { version: 1, prev_hash: prev, timestamp: 1_790_000_000 + 10 * i, bits, nonce: 0 }
    const block = { coinbase, others: [], header: { ...header, merkle_root: txidOf(coinbase) }, value: words }
    if (blockWork(decodeBits(bits)) < 10_000n) {
      block.header.nonce = search(encodeHeader(block.header), decodeBits(bits), 0, 2 ** 32).nonce
    }
    made.push(block)
  }
  return made
}

// The newest five blocks of the node. What can be changed in them is the miner's reward.
async function ownBlocks() {
  const found = (await newest(5)).reverse()
  if (found.length < 5 || !found[0].height) throw new TooShort('five blocks')
  decimals = (await ask('/v1/coin')).decimals
  return Promise.all(
    found.map(async ({ hash }) => {
      const { header, transactions } = decodeBlock(await rawBlock(hash))
      const [coinbase, ...others] = transactions
      return { header, coinbase, others: others.map(txidOf), value: coins(coinbase.amount, decimals) }
    }),
  )
}

const isOwn = () => one('#source').value === 'own'

// What is wrong with each block: null, or a sentence.
function faults() {
  let broken = false
  return blocks.map((block, i) => {
    const before = blocks[i - 1]
    let fault = null
    if (before && toHex(hashOf(before)) !== toHex(block.header.prev_hash)) fault = GONE
    else if (!isLowEnough(hashOf(block), block.header.bits)) fault = 'Its hash has no work: too large'
    else if (broken) fault = 'Stands on a broken block'
    broken ||= fault !== null
    return fault
  })
}

function draw() {
  const wrong = faults()
  const count = wrong.filter(Boolean).length
  blocks.forEach((block, i) => {
    const row = rows[i]
    row.classList.toggle('broken', wrong[i] !== null)
    one('.height', row).textContent = number(block.coinbase.height)
    showHash(one('.prev', row), show(block.header.prev_hash))
    one('.prev', row).classList.toggle('gone', wrong[i] === GONE)
    one('.nonce', row).textContent = number(block.header.nonce)
    showHash(one('.own-hash', row), show(hashOf(block)))
    judge(one('.state', row), wrong[i] ? 'bad' : 'good', wrong[i] ?? 'Fits')
    one('.mine', row).disabled = running !== null || wrong[i] === null
  })
  one('#all').disabled = running !== null || count === 0
  one('#stop').disabled = running === null
  for (const control of [one('#source'), one('#reset')]) control.disabled = running !== null
  one('#zeros').disabled = running !== null || isOwn()
  one('#mined').textContent = number(cost.mined)
  one('#hashes').textContent = number(cost.hashes)
  one('#time').textContent = span(cost.seconds)
  const bad = `${plural(count, 'block')} of 5 ${count === 1 ? 'is' : 'are'} broken: nobody would take this chain.`
  judge(one('#verdict'), count ? 'bad' : 'good', count ? bad : 'The chain holds: every block points at the one before.')
  return count
}

function edit(i) {
  const block = blocks[i]
  const words = one('.text', rows[i]).value
  if (isOwn()) {
    const units = unitsOf(words, decimals)
    one('.text', rows[i]).setAttribute('aria-invalid', units === null)
    if (units === null) return
    block.coinbase = { ...block.coinbase, amount: units }
  } else block.coinbase = { ...block.coinbase, extra: extraOf(words) }
  block.header = { ...block.header, merkle_root: rootOf(block) }
  if (draw() && i < 4) done('change')
}

// Points a block at the one before it and looks for a new nonce. False where it was stopped.
async function mineAgain(i) {
  const block = blocks[i]
  const header = { ...block.header, prev_hash: i ? hashOf(blocks[i - 1]) : block.header.prev_hash }
  const target = decodeBits(header.bits)
  const { hashes, seconds } = cost
  const words = `Mining block ${block.coinbase.height} again: ${roughly(blockWork(target))} hashes on average.`
  running = mine(encodeHeader({ ...header, nonce: 0 }), target, (tries, time) => {
    one('#hashes').textContent = number(hashes + tries)
    one('#time').textContent = span(seconds + time)
  })
  const pressed = document.activeElement?.closest('.buttons, .chain-block')
  draw()
  if (pressed) one('#stop').focus()
  judge(one('#verdict'), null, words)
  const found = await running.done
  running = null
  Object.assign(cost, { hashes: hashes + found.tries, seconds: seconds + found.seconds })
  if (found.nonce === null) return false
  cost.mined += 1
  block.header = { ...header, nonce: found.nonce }
  return true
}

// The button that was pressed is off while the machine searches; whoever uses the keyboard goes on from the next one.
function refocus() {
  if (document.activeElement !== document.body && !document.activeElement.disabled) return
  const next = [...rows.map((row) => one('.mine', row)), one('#all')].find((button) => !button.disabled)
  ;(next ?? one('#reset')).focus()
}

async function mineOne(i) {
  const whole = await mineAgain(i)
  const count = draw()
  if (whole && count) done('link')
  if (!count) done('mend')
  if (!whole) judge(one('#verdict'), null, 'Stopped.')
  refocus()
}

async function mineAll() {
  stopped = false
  for (let i = faults().findIndex(Boolean); i >= 0 && !stopped; i = faults().findIndex(Boolean)) {
    if (!(await mineAgain(i))) break
  }
  if (draw() === 0) {
    done('mend')
    const words = `Mended: ${number(cost.hashes)} hashes in ${span(cost.seconds)}. The others have mined on meanwhile.`
    judge(one('#verdict'), 'good', words)
  } else judge(one('#verdict'), null, 'Stopped.')
  refocus()
}

function showAll() {
  rows.forEach((row, i) => {
    tell(one('.what', row), isOwn() ? 'The miner’s reward, coins' : 'What stands in it')
    one('.text', row).value = blocks[i].value
  })
  Object.assign(cost, { mined: 0, hashes: 0, seconds: 0 })
  draw()
}

async function load() {
  try {
    blocks = isOwn() ? await ownBlocks() : playBlocks(BITS[one('#zeros').value])
    showAll()
    if (isOwn()) done('own')
    else if (faults()[0]) await mineAll()
  } catch (problem) {
    one('#source').value = 'play'
    blocks = playBlocks(BITS[one('#zeros').value])
    showAll()
    judge(one('#verdict'), null, problem.message)
  }
}

rows.forEach((row, i) => {
  one('.text', row).addEventListener('input', () => edit(i))
  one('.mine', row).addEventListener('click', () => mineOne(i))
})
one('#all').addEventListener('click', mineAll)
one('#stop').addEventListener('click', () => {
  stopped = true
  running?.stop()
})
for (const id of ['#source', '#zeros']) one(id).addEventListener('change', load)
one('#reset').addEventListener('click', load)
load()

// How many hashes a second this browser does, measured for a moment.
function rate() {
  const begin = performance.now()
  const { tried } = search(new Uint8Array(80), 0n, 0, 20_000)
  return (1000 * tried) / (performance.now() - begin)
}

fillOwn(async () => {
  const { height, work } = await ask('/v1/status')
  if (height < 2) throw new TooShort('two blocks')
  const slider = one('#depth')
  const here = rate()
  slider.max = Math.min(height, 1000)
  slider.value = Math.min(6, height)
  slider.disabled = false
  const blocksDown = (await newest(Number(slider.max))).filter((block) => block.height)
  const tip = blocksDown[0]
  const all = BigInt(`0x${work}`)
  const tell4 = () => {
    const depth = Math.min(Number(slider.value), blocksDown.length)
    const lowest = blocksDown[depth - 1]
    const own = blockWork(decodeBits(Number.parseInt(lowest.bits, 16)))
    const hashes = Number(all - BigInt(`0x${lowest.work}`) + own)
    const seconds = Math.max(1, tip.timestamp - lowest.timestamp)
    one('#depth-shown').textContent = plural(depth, 'block')
    one('#own-blocks').textContent = number(depth)
    one('#own-hashes').textContent = roughly(hashes)
    one('#own-browser').textContent = span(hashes / here)
    one('#own-network').textContent = depth > 1 ? span((seconds * depth) / (depth - 1)) : 'about one block’s time'
  }
  slider.addEventListener('input', () => {
    tell4()
    done('depth')
  })
  tell4()
})
