// Step 5: a Merkle tree, its root, and a proof by the hashes beside the way.

import { blockHash, climb, decodeHeader, fromHex, merkleBranch, merkleLevels } from '../bytes.js'
import { show, textBytes, toHex, unshow } from '../bytes.js'
import { ask, fillOwn, newest, someTransfer, TooShort } from '../own.js'
import { sha256d } from '../sha256.js'
import { done, element, judge, number, one, plural, svg, tell } from '../ui.js'
import { isLowEnough } from '../work.js'

const SAYS = [
  'Ann pays Ben 5',
  'Ben pays Cleo 2',
  'Cleo pays Dan 7',
  'Dan pays Ann 1',
  'Eve pays Ben 3',
  'Ben pays Eve 4',
  'Ann pays Dan 10',
  'Dan pays Cleo 6',
]
const [count, chosen, text, claim] = ['#count', '#chosen', '#text', '#claim'].map((id) => one(id))
let words = [...SAYS]
let before = null

const leafOf = (line) => sha256d(textBytes(line))
const short = (hash) => toHex(hash).slice(0, 4)

function choices() {
  const lines = words.slice(0, Number(count.value))
  const at = Math.min(Number(chosen.value || 2), lines.length - 1)
  chosen.replaceChildren(...lines.map((line, i) => element('option', { value: i }, `${i + 1}: ${line}`)))
  chosen.value = at
  text.value = words[at]
  claim.value = words[at]
}

function draw() {
  const size = Number(count.value)
  const at = Number(chosen.value)
  const levels = merkleLevels(words.slice(0, size).map(leafOf))
  drawTree(levels, at)
  before = levels
  const branch = merkleBranch(levels, at)
  const root = levels.at(-1)[0]
  const steps = climb(leafOf(claim.value), at, branch)
  const top = steps.at(-1)?.hash ?? leafOf(claim.value)
  one('#steps').replaceChildren(...lines(leafOf(claim.value), steps, at))
  const good = toHex(top) === toHex(root)
  const length = plural(branch.length, 'hash', 'hashes')
  const sizes = `The proof has ${length}, the block ${plural(size, 'payment')}.`
  const yes = `It comes to the root: the payment is in the block. ${sizes}`
  judge(one('#verdict'), good ? 'good' : 'bad', good ? yes : 'It does not come to the root: no such payment is there.')
  return good
}

// The steps of a proof in words.
function lines(leaf, steps, position) {
  const first = element('li', {}, 'the payment’s own hash: ', element('b', { class: 'mono own-way' }, short(leaf)))
  return [
    first,
    ...steps.map(({ left, right, hash }, up) => {
      const isRight = (position >> up) % 2
      const name = (bytes, own) => element('b', { class: `mono ${own ? 'own-way' : 'beside'}` }, short(bytes))
      const pair = [name(left, !isRight), ' and ', name(right, isRight)]
      return element('li', {}, 'hash of ', ...pair, ' is ', name(hash, true))
    }),
  ]
}

function drawTree(levels, at) {
  const widest = levels[0].length
  const rows = []
  for (let up = levels.length - 1; up >= 0; up--) {
    const span = 2 ** up
    const row = element('div', { class: 'tree-row' })
    levels[up].forEach((hash, i) => row.append(node(hash, levels, up, i, at, { span, widest })))
    rows.push(row)
    if (up) rows.push(branches(levels[up - 1].length, span / 2, widest))
  }
  const tree = one('#tree')
  tree.replaceChildren(...rows)
  const root = `The root is ${short(levels.at(-1)[0])}, over ${plural(widest, 'payment')}.`
  tree.setAttribute('aria-label', `${root} The way from payment ${at + 1} is marked.`)
}

function node(hash, levels, up, i, at, { span, widest }) {
  const last = levels[up].length - 1
  const kinds = ['tree-node']
  if (at >> up === i) kinds.push('path')
  else if (Math.min((at >> up) ^ 1, last) === i && up < levels.length - 1) kinds.push('beside')
  const old = before?.length === levels.length && before[up][i]
  if (old && toHex(old) !== toHex(hash)) kinds.push('moved')
  const digits = element('span', { class: 'mono' }, short(hash))
  const made = element('div', { class: kinds.join(' '), title: toHex(hash) }, digits)
  if (up === levels.length - 1) made.append(element('span', { class: 'tree-name' }, 'root'))
  else if (up === 0) made.append(element('span', { class: 'tree-name' }, `${i + 1}`))
  // A node stands over the middle of its leaves; the last may have fewer of them.
  const [from, to] = [i * span, Math.min((i + 1) * span, widest)]
  made.style.left = `${(100 * (from + to)) / 2 / widest}%`
  made.style.width = `${Math.min(100 / widest, 24)}%`
  return made
}

// The lines between a level of `length` nodes, each over `span` leaves, and the one above.
function branches(length, span, widest) {
  const middle = (i, size) => ((i * size + Math.min((i + 1) * size, widest)) / 2 / widest) * 100
  const drawn = Array.from({ length }, (_, i) =>
    svg('line', { x1: middle(i, span), y1: 100, x2: middle(i >> 1, 2 * span), y2: 0 }),
  )
  const frame = { viewBox: '0 0 100 100', preserveAspectRatio: 'none' }
  return svg('svg', { class: 'tree-lines', 'aria-hidden': 'true', ...frame }, ...drawn)
}

count.addEventListener('change', () => {
  before = null
  choices()
  draw()
  if ([3, 5, 6, 7].includes(Number(count.value))) done('odd')
})
chosen.addEventListener('change', () => {
  text.value = words[Number(chosen.value)]
  claim.value = text.value
  before = null
  draw()
  done('prove')
})
text.addEventListener('input', () => {
  words[Number(chosen.value)] = text.value
  chosen.selectedOptions[0].textContent = `${Number(chosen.value) + 1}: ${text.value}`
  draw()
  done('change')
})
claim.addEventListener('input', () => {
  before = null
  if (!draw()) done('lie')
})
choices()
draw()

async function anyPayment() {
  try {
    return (await someTransfer()).transaction.txid
  } catch (problem) {
    if (!(problem instanceof TooShort)) throw problem
    const [{ hash, height }] = await newest(1)
    if (!height) throw new TooShort('a block that somebody has mined')
    return (await ask(`/v1/blocks/${hash}/transactions?limit=1`)).transactions[0].txid
  }
}

fillOwn(async () => {
  const txid = await anyPayment()
  const proof = await ask(`/v1/transactions/${txid}/proof`)
  const header = decodeHeader(fromHex(proof.header))
  const leaf = unshow(txid)
  const steps = climb(leaf, proof.position, proof.branch.map(unshow))
  const top = steps.at(-1)?.hash ?? leaf
  const sent = `The node sent ${plural(proof.branch.length, 'hash', 'hashes')}:`
  const place = `number ${proof.position + 1} in block ${number(proof.height)}`
  tell(one('#own-about'), `Transaction ${txid.slice(0, 12)}… is said to be ${place}. ${sent}`)
  one('#own-steps').replaceChildren(...lines(leaf, steps, proof.position))
  const checks = [
    [toHex(top) === toHex(header.merkle_root), 'the steps come to the root in the header'],
    [show(blockHash(header)) === proof.block_hash, 'the header has the block’s hash'],
    [proof.height === 0 || isLowEnough(blockHash(header), header.bits), 'the header has shown its work'],
  ]
  const failed = checks.find(([holds]) => !holds)
  const all = checks.map(([, says]) => says).join(', ')
  judge(one('#own-verdict'), failed ? 'bad' : 'good', failed ? `It fails: not ${failed[1]}.` : `Proven: ${all}.`)
})
