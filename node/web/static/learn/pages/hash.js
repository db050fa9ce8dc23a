// Step 1: the hash of a text, live, and of the newest block.

import { blockHash, decodeBlock, headerParts, show, textBytes, toHex } from '../bytes.js'
import { fillOwn, newest, rawBlock } from '../own.js'
import { sha256 } from '../sha256.js'
import { done, element, judge, one, plural, showHash, showParts, svg, tell } from '../ui.js'

const HEADER_FIELDS = ['version', 'prev_hash', 'merkle_root', 'timestamp', 'bits', 'nonce']
const LONG = 200

const text = one('#text')
const squares = Array.from({ length: 256 }, (_, i) =>
  svg('rect', { x: (i % 16) + 0.06, y: Math.floor(i / 16) + 0.06, width: 0.88, height: 0.88, rx: 0.15 }),
)
one('#bits').append(...squares)

const bitsOf = (hash) => Array.from(hash, (byte) => byte.toString(2).padStart(8, '0')).join('')

const first = text.value
let shown = { text: first, hash: sha256(textBytes(first)) }
const past = [shown]
let changedOnce = false

function draw(before) {
  const now = bitsOf(shown.hash)
  const old = bitsOf(before.hash)
  showHash(one('#hash'), toHex(shown.hash), toHex(before.hash))
  squares.forEach((square, i) => {
    square.classList.toggle('set', now[i] === '1')
    square.classList.toggle('turned', now[i] !== old[i])
  })
  one('#past').replaceChildren(
    ...past.slice(0, 5).map((each) => {
      const name = each.text.length > 24 ? `${each.text.slice(0, 23)}…` : each.text || '(nothing)'
      return element('li', {}, element('span', { class: 'mono' }, `${toHex(each.hash).slice(0, 8)}… `), name)
    }),
  )
  return [...now].filter((bit, i) => bit !== old[i]).length
}

function change() {
  const before = shown
  if (text.value === before.text) return
  shown = { text: text.value, hash: sha256(textBytes(text.value)) }
  const again = past.some((each) => each.text === shown.text)
  past.unshift(shown)
  past.splice(50)
  const turned = draw(before)
  const size = textBytes(shown.text).length
  const known = again ? ' You have had this text before: the same text, the same hash.' : ''
  tell(one('#changed'), `${turned} of 256 bits turned round. ${plural(size, 'byte')} in, 32 bytes out.${known}`)
  changedOnce = true
  done('change')
  if (again && changedOnce) done('back')
  if (size > LONG) done('long')
  if (toHex(shown.hash).startsWith('0')) done('zero')
}

text.addEventListener('input', change)
draw(shown)

fillOwn(async () => {
  const [block] = await newest(1)
  const { header } = decodeBlock(await rawBlock(block.hash))
  const computed = show(blockHash(header))
  showParts(one('#own-bytes'), headerParts(header), HEADER_FIELDS)
  showHash(one('#own-hash'), computed)
  showHash(one('#own-told'), block.hash)
  if (computed === block.hash) judge(one('#own-verdict'), 'good', `The same: this is block ${block.height}.`)
  else judge(one('#own-verdict'), 'bad', 'They differ: do not believe this node.')
})
