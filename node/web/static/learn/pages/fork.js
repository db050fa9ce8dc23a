// Step 7: two miners, a cable that can be cut, and the chain with the most work. Every block is really mined.

import { blockHash, encodeHeader, show, toHex, txidOf, extraOf } from '../bytes.js'
import { ask, fillOwn } from '../own.js'
import { search } from '../search.js'
import { done, element, judge, number, one, plural, svg } from '../ui.js'
import { blockWork, decodeBits } from '../work.js'

const BITS = { light: 0x200fffff, heavy: 0x2003ffff }
const NAMES = { red: 'Red', blue: 'Blue' }
const OTHER = { red: 'blue', blue: 'red' }
const [COLUMN, ROW, TOP] = [76, 84, 46]

let blocks
let tips
let cut
let found

function begin() {
  const genesis = { id: 'start', height: 0, parent: null, by: null, name: '0', work: 0n, hash: new Uint8Array(32) }
  blocks = new Map([['start', genesis]])
  tips = { red: 'start', blue: 'start' }
  cut = false
  found = { red: 0, blue: 0 }
  draw('Both stand on the same block. Let one of them find another.')
}

// The ids of a block and all before it, the newest first.
function wayDown(id) {
  const way = []
  for (let at = id; at; at = blocks.get(at).parent) way.push(at)
  return way
}

function find(who) {
  const parent = blocks.get(tips[who])
  const weight = one(`#${who}-weight`).value
  const bits = BITS[weight]
  const name = `${NAMES[who][0]}${++found[who]}`
  const fields = { kind: 'coinbase', height: parent.height + 1, receiver: new Uint8Array(33), amount: 0 }
  const root = txidOf({ ...fields, extra: extraOf(name) })
  const timestamp = 1_790_000_000 + 10 * (parent.height + 1)
  const header = { version: 1, prev_hash: parent.hash, merkle_root: root, timestamp, bits, nonce: 0 }
  header.nonce = search(encodeHeader(header), decodeBits(bits), 0, 2 ** 32).nonce
  const hash = blockHash(header)
  const work = parent.work + blockWork(decodeBits(bits))
  const block = { id: toHex(hash), height: parent.height + 1, parent: parent.id, by: who, name, work, hash, weight }
  blocks.set(block.id, block)
  tips[who] = block.id
  const says = `${NAMES[who]} found block ${name}.`
  if (cut) {
    if (!sameChain()) done('fork')
    return draw(`${says} ${NAMES[OTHER[who]]} does not hear of it: the cable is cut.`)
  }
  draw(`${says} ${hear(OTHER[who], block.id)}`)
}

// Whether one tip stands on the other: then there is no fork.
const sameChain = () => wayDown(tips.red).includes(tips.blue) || wayDown(tips.blue).includes(tips.red)

// What somebody does who hears of a tip: the one with more work counts; at equal work the first one stays.
function hear(who, id) {
  const mine = blocks.get(tips[who])
  const theirs = blocks.get(id)
  if (theirs.work <= mine.work) return `${NAMES[who]} stays on ${mine.name}: it has as much work or more.`
  const left = wayDown(mine.id).filter((each) => !wayDown(id).includes(each))
  tips[who] = id
  if (!left.length) return `${NAMES[who]} takes it.`
  done('heal')
  if (left.length > wayDown(id).filter((each) => !wayDown(mine.id).includes(each)).length) done('work')
  const names = left.map((each) => blocks.get(each).name).reverse()
  return `${NAMES[who]} gives up ${names.join(', ')}: the other chain has more work.`
}

function turnCable() {
  cut = !cut
  if (cut) return draw('The cable is cut: what one finds, the other does not hear of.')
  const [red, blue] = [tips.red, tips.blue]
  if (red !== blue && blocks.get(red).work === blocks.get(blue).work) {
    done('tie')
    return draw('The cable is mended. Both chains have the same work, so each keeps its own: the next block decides.')
  }
  const says = [hear('red', blue), hear('blue', red)].filter((words) => !words.includes('stays'))
  draw(`The cable is mended. ${says.join(' ') || 'Both stand on the same block.'}`)
}

const colourOf = ({ by }) => by ?? 'start'

function draw(says) {
  const agree = tips.red === tips.blue
  judge(one('#verdict'), agree ? 'good' : 'bad', says)
  for (const who of ['red', 'blue']) {
    const tip = blocks.get(tips[who])
    one(`#${who}-says`).textContent = `stands on ${tip.name}: height ${tip.height}, work ${number(tip.work)}`
  }
  one('#cable').setAttribute('aria-pressed', cut)
  one('#cable').textContent = cut ? 'Mend the cable' : 'Cut the cable between them'
  one('#scroll').classList.toggle('cut', cut)
  const counted = new Set([...wayDown(tips.red), ...wayDown(tips.blue)])
  const waiting = [...blocks.values()].filter(({ id }) => !counted.has(id)).map(({ name }) => name)
  one('#pool').textContent = `Payments that wait again: ${waiting.join(', ') || 'none'}`
  drawTree(counted)
}

// Each block's row. The chain with the most work is the upper one. Of the branches below it the later ones lie higher:
// then no arrow crosses another branch.
function rows() {
  const best = [...blocks.values()].reduce((most, other) => (other.work > most.work ? other : most))
  const main = new Set(wayDown(best.id))
  const placed = new Map([...main].map((id) => [id, 0]))
  const taken = []
  for (const branch of branchesBeside(main).reverse()) {
    const [from, to] = [branch[0].height, branch.at(-1).height]
    let row = 1
    while (taken.some((other) => other.row === row && other.from <= to && from <= other.to)) row += 1
    taken.push({ row, from, to })
    for (const { id } of branch) placed.set(id, row)
  }
  return { placed, lowest: Math.max(0, ...taken.map(({ row }) => row)) }
}

// The blocks that are not in `main`, in runs that each have one block a height, by the height at which they begin.
function branchesBeside(main) {
  const branches = []
  for (const block of blocks.values()) {
    if (main.has(block.id)) continue
    const branch = branches.find((run) => run.at(-1).id === block.parent)
    if (branch) branch.push(block)
    else branches.push([block])
  }
  return branches.sort((one, other) => one[0].height - other[0].height)
}

function drawTree(counted) {
  const { placed, lowest } = rows()
  const highest = Math.max(...[...blocks.values()].map(({ height }) => height))
  const [width, height] = [Math.max(6, highest + 1) * COLUMN, TOP + (Math.max(1, lowest) + 1) * ROW]
  const middle = (block) => [block.height * COLUMN + COLUMN / 2, TOP + placed.get(block.id) * ROW + 16]
  const picture = one('#forks')
  const all = [...blocks.values()]
  picture.setAttribute('viewBox', `0 0 ${width} ${height}`)
  picture.setAttribute('width', width)
  picture.setAttribute('height', height)
  picture.setAttribute('aria-label', `${plural(all.length - 1, 'block')}; ${all.map(describe).slice(1).join(', ')}`)
  picture.replaceChildren(
    ...all.filter(({ parent }) => parent).map((block) => link(block, blocks.get(block.parent), middle)),
    ...all.map((block) => drawBlock(block, middle(block), counted.has(block.id))),
    ...['red', 'blue'].map((who) => label(who, middle(blocks.get(tips[who])))),
  )
  const view = one('#scroll')
  view.scrollLeft = (highest + 1) * COLUMN + 24 - view.clientWidth
}

const describe = (block) => `${block.name} on ${blocks.get(block.parent)?.name ?? 'nothing'}`

// The arrow from a block to the one before it.
function link(block, parent, middle) {
  const [x, y] = middle(block)
  const [middleX, toY] = middle(parent)
  const toX = middleX + sizeOf(parent) + 7
  const line = `M${x},${y} C${x - 30},${y} ${toX + 20},${toY} ${toX},${toY}`
  const head = `M${toX - 6},${toY} l9,-5 v10 z`
  return svg('g', { class: 'link' }, svg('path', { d: line }), svg('path', { class: 'head', d: head }))
}

const sizeOf = (block) => (block.weight === 'heavy' ? 22 : 16)

function drawBlock(block, [x, y], isCounted) {
  const size = sizeOf(block)
  const kind = `fork-block ${colourOf(block)}${isCounted ? '' : ' lost'}`
  return svg(
    'g',
    { class: kind, 'data-block': block.name },
    svg('title', {}, block.by ? `${block.name}: ${show(block.hash)}` : 'the block on which both begin'),
    svg('rect', { x: x - size, y: y - size, width: 2 * size, height: 2 * size, rx: 5 }),
    svg('text', { x, y: y + 4.5 }, block.name),
  )
}

// Two labels on one block stand side by side.
function label(who, [x, y]) {
  const both = tips.red === tips.blue
  const shift = both ? (who === 'red' ? -16 : 16) : 0
  return svg('text', { class: `fork-tip ${who}`, x: x + shift, y: y - 28 }, NAMES[who])
}

for (const who of ['red', 'blue']) one(`#${who}`).addEventListener('click', () => find(who))
one('#cable').addEventListener('click', turnCable)
one('#reset').addEventListener('click', begin)
begin()

fillOwn(async () => {
  const { tips: told } = await ask('/v1/tips')
  const sides = told.filter(({ status }) => status === 'side_branch')
  const none = 'None so far: your chain has a single tip. On a network of several nodes forks come by themselves.'
  const some = `Your node keeps ${plural(sides.length, 'losing branch', 'losing branches')}, such as:`
  one('#own-about').textContent = sides.length ? some : none
  one('#own-tips').replaceChildren(
    ...sides.slice(0, 5).map(({ height, fork_height: fork, hash }) => {
      const name = element('span', { class: 'mono' }, `${hash.slice(0, 16)}… `)
      const lost = plural(height - fork, 'block')
      return element('li', {}, name, `left the chain above block ${number(fork)}, and was ${lost} long`)
    }),
  )
})
