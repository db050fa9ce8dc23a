// Step 2: a block's nonce, found by hand and by the machine.

import { blockHash, decodeBlock, encodeHeader, extraOf, headerParts, show, txidOf, unshow } from '../bytes.js'
import { mine } from '../mining.js'
import { ask, fillOwn, newest, rawBlock, TooShort } from '../own.js'
import { blockWork, decodeBits, isLowEnough } from '../work.js'
import { done, each, judge, number, one, plural, roughly, showHash, showParts, span } from '../ui.js'

const FIELDS = ['version', 'prev_hash', 'merkle_root', 'timestamp', 'bits', 'nonce']
// Compact targets whose hashes begin with so many zeros.
const BITS = { 1: 0x200fffff, 2: 0x2000ffff, 3: 0x1f0fffff, 4: 0x1f00ffff, 5: 0x1e0fffff, 6: 0x1e00ffff }
const LAST_NONCE = 2 ** 32 - 1

const [text, zeros, nonce] = ['#text', '#zeros', '#nonce'].map((id) => one(id))
const start = { height: 1, prev_hash: new Uint8Array(32), timestamp: 1_790_000_000 }
let byHand = 0
let found = false
let before = null
let running = null

const coinbase = () => ({
  kind: 'coinbase',
  height: start.height,
  receiver: new Uint8Array(33),
  amount: 0,
  extra: extraOf(text.value),
})

const header = () => ({
  version: 1,
  prev_hash: start.prev_hash,
  merkle_root: txidOf(coinbase()),
  timestamp: start.timestamp,
  bits: BITS[zeros.value],
  nonce: Math.min(LAST_NONCE, Math.max(0, Math.floor(Number(nonce.value)) || 0)),
})

function draw() {
  const now = header()
  const parts = headerParts(now)
  const hash = show(blockHash(now))
  const wanted = Number(zeros.value)
  const has = /^0*/.exec(hash)[0].length
  showParts(one('#bytes'), parts, FIELDS, before)
  showHash(one('#hash'), hash)
  before = parts
  const was = found
  found = isLowEnough(blockHash(now), now.bits)
  const says = found
    ? `Found! With nonce ${number(now.nonce)} this is a block.`
    : `No block yet: the hash begins with ${has ? plural(has, 'zero') : 'no zero'}, and it takes ${wanted}.`
  judge(one('#verdict'), found ? 'good' : 'bad', says)
  return was
}

function tryByHand() {
  byHand += 1
  one('#by-hand').textContent = number(byHand)
  draw()
  if (found) done('hand')
}

one('#next').addEventListener('click', () => {
  nonce.value = (header().nonce + 1) % (LAST_NONCE + 1)
  tryByHand()
})
nonce.addEventListener('input', tryByHand)
zeros.addEventListener('change', draw)
text.addEventListener('input', () => {
  if (draw() && !found) done('break')
})

async function search() {
  const controls = [text, zeros, nonce, one('#next'), one('#search')]
  const wanted = Number(zeros.value)
  const lasts = (tries, seconds) =>
    `Tried by the machine: ${number(tries)} in ${span(seconds)}, ${roughly(tries / seconds)} a second.`
  const counter = one('#by-machine')
  for (const control of controls) control.disabled = true
  one('#stop').disabled = false
  one('#stop').focus()
  judge(one('#verdict'), null, `Searching: it takes ${roughly(16 ** wanted)} tries on average.`)
  running = mine(encodeHeader(header()), decodeBits(BITS[wanted]), (tries, seconds) => {
    counter.textContent = lasts(tries, seconds)
  })
  const { nonce: good, tries, seconds } = await running.done
  counter.textContent = lasts(tries, seconds)
  for (const control of controls) control.disabled = false
  one('#stop').disabled = true
  if (good !== null) nonce.value = good
  draw()
  if (good === null) judge(one('#verdict'), null, 'Stopped before a nonce was found.')
  else if (wanted >= 4) done('machine')
  if (good !== null && wanted >= 5) done('harder')
  one('#search').focus()
}

one('#search').addEventListener('click', search)
one('#stop').addEventListener('click', () => running.stop())

draw()

// The reader's own tip is the block before, so that what is mined here could follow it.
ask('/v1/status').then(
  ({ tip, height }) => {
    Object.assign(start, { prev_hash: unshow(tip), height: height + 1 })
    before = null
    draw()
  },
  () => {},
)

fillOwn(async () => {
  const [block] = await newest(1)
  if (!block.height) throw new TooShort('a block that somebody has mined')
  const { header: own } = decodeBlock(await rawBlock(block.hash))
  const cells = each('#own-fields td')
  const time = new Date(own.timestamp * 1000).toISOString().replace('T', ' ').replace('.000Z', ' UTC')
  const tries = roughly(blockWork(decodeBits(own.bits)))
  const values = [number(block.height), own.version, show(own.prev_hash), show(own.merkle_root), time]
  ;[...values, `${block.bits}: ${tries} hashes on average`].forEach((value, i) => {
    cells[i].textContent = value
  })
  const field = one('#own-nonce')
  field.disabled = false
  field.value = own.nonce
  const check = () => {
    const turned = { ...own, nonce: Math.min(LAST_NONCE, Math.max(0, Math.floor(Number(field.value)) || 0)) }
    const hash = blockHash(turned)
    showHash(one('#own-hash'), show(hash))
    const good = isLowEnough(hash, own.bits)
    const fails = 'With this nonce the hash is too large: no node would take the block.'
    judge(one('#own-verdict'), good ? 'good' : 'bad', good ? 'This hash is small enough: the work is shown.' : fails)
  }
  field.addEventListener('input', () => {
    check()
    if (Number(field.value) !== own.nonce) done('own')
  })
  check()
})
