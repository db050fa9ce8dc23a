// Step 9: an address that is a policy. Who signs, what has come, and whether that is exactly enough.

import { encodeAddress } from '../address.js'
import { fromHex, textBytes, toHex } from '../bytes.js'
import { ask, coin, fillOwn, newest, status, TooShort } from '../own.js'
import * as policies from '../policy.js'
import { sha256 } from '../sha256.js'
import { done, each, element, judge, number, one, plural, tell } from '../ui.js'

const { decodePolicy, encodePolicy, hasCome, kindOf, leavesOf, payloadOf } = policies
const DAY = 86_400
const START = Date.UTC(2027, 0, 1) / 1000
const keyOf = (name) => ({ key: sha256(textBytes(`the lesson's ${name}`)) })
const [ann, ben, cleo, dora] = ['ann', 'ben', 'cleo', 'dora'].map(keyOf)
const PEOPLE = { Ann: ann, Ben: ben, Cleo: cleo, Dora: dora }
const NAMES = new Map(Object.entries(PEOPLE).map(([name, { key }]) => [toHex(key), name]))
const secret = { hash: sha256(sha256(textBytes('the lesson’s secret'))) }
const all = (...of) => ({ threshold: of.length, of })
const any = (...of) => ({ threshold: 1, of })

const POLICIES = {
  shared: { threshold: 2, of: [ann, ben, cleo] },
  heir: any(ann, all(ben, { after_height: 200 })),
  swap: any(all(ben, secret), all(ann, { after_height: 144 })),
  gift: all(cleo, { after_time: Date.UTC(2027, 5, 1) / 1000 }),
  board: { threshold: 2, of: [ann, ben, all(cleo, dora)] },
}

const WHY_NOT_MORE = 'Else whoever passes it on could leave out a part, and it would be another transaction.'
const [choice, height, day] = ['#policy', '#height', '#day'].map((id) => one(id))
let policy = null
let named = new Set()
let hrp = 'coin'
let triedEarly = false

const date = (time) => new Date(time * 1000).toISOString().slice(0, 10)
const timeNow = () => START + Number(day.value) * DAY

function nameOf(leaf) {
  if (leaf.key) return NAMES.get(toHex(leaf.key)) ?? `the key ${toHex(leaf.key).slice(0, 8)}…`
  if (leaf.hash) return `the secret of ${toHex(leaf.hash).slice(0, 8)}…`
  return `from ${leaf.after_height === undefined ? date(leaf.after_time) : `block ${number(leaf.after_height)}`} on`
}

const DOES = { key: 'signs', hash: 'is shown', after_height: 'is named', after_time: 'is named' }

function titleOf({ threshold, of }) {
  return threshold === of.length ? 'all of' : threshold === 1 ? 'one of' : `${threshold} of ${of.length}`
}

// A node of the tree as a list's item; each leaf gets what `leafOf` makes of it.
function item(node, leafOf) {
  const kind = kindOf(node)
  const shown = node.of ? element('span', { class: 'node' }, titleOf(node)) : leafOf(node)
  const below = node.of ? [element('ul', {}, ...node.of.map((child) => item(child, leafOf)))] : []
  return element('li', { class: `is-${kind}`, 'data-leaf': node.leaf ?? null }, shown, ...below)
}

function tick(leaf) {
  const change = () => {
    if (box.checked) named.add(leaf.leaf)
    else named.delete(leaf.leaf)
    draw()
  }
  const box = element('input', { type: 'checkbox', autocomplete: 'off', change })
  const does = element('span', { class: 'hint' }, DOES[kindOf(leaf)])
  return element('label', { class: 'node' }, box, ` ${nameOf(leaf)} `, does)
}

function choose() {
  const raw = encodePolicy(POLICIES[choice.value])
  policy = decodePolicy(raw)
  named = new Set()
  triedEarly = false
  one('#tree').replaceChildren(item(policy, tick))
  tell(one('#policy-bytes'), toHex(raw))
  tell(one('#policy-size'), `${plural(raw.length, 'byte')}, ${plural(policies.waysOf(policy), 'way')} to meet it`)
  showAddress()
  draw()
}

function showAddress() {
  tell(one('#policy-address'), encodeAddress(hrp, payloadOf(encodePolicy(policy))))
}

function draw() {
  tell(one('#height-now'), number(Number(height.value)))
  tell(one('#day-now'), date(timeNow()))
  const leaves = leavesOf(policy)
  for (const row of each('#tree [data-leaf]')) {
    const leaf = leaves[Number(row.dataset.leaf)]
    row.classList.toggle('closed', !hasCome(leaf, Number(height.value), timeNow()))
    row.classList.toggle('named', named.has(leaf.leaf))
  }
  judge(one('#verdict'), ...verdict(leaves.filter(({ leaf }) => named.has(leaf))))
}

// What becomes of a spend that names these leaves: [good, bad or null, a sentence].
function verdict(leaves) {
  const found = policies.judge(policy, named)
  if (found === 'too few') return [named.size ? 'bad' : null, 'Not enough: nobody can spend with this.']
  if (found === 'too many') {
    if (choice.value === 'shared') done('more')
    return ['bad', `More than enough: nodes refuse it. ${WHY_NOT_MORE}`]
  }
  const locked = leaves.filter((leaf) => !hasCome(leaf, Number(height.value), timeNow()))
  if (locked.length) {
    if (choice.value === 'heir') done('early')
    triedEarly = true
    return ['bad', `Exactly enough, but too early: only ${locked.map(nameOf).join(' and ')}.`]
  }
  tickTasks()
  return ['good', `Exactly enough: block ${number(Number(height.value))} may hold this spend.`]
}

// Tasks of a spend that is good.
function tickTasks() {
  const kinds = leavesOf(policy).filter(({ leaf }) => named.has(leaf)).map(kindOf)
  if (choice.value === 'shared') done('two')
  if (triedEarly && kinds.some((kind) => kind.startsWith('after'))) done('late')
  if (choice.value === 'swap' && kinds.includes('hash') && Number(height.value) >= 144) done('both')
}

choice.addEventListener('change', choose)
for (const slider of [height, day]) slider.addEventListener('input', draw)
choose()
coin().then(
  (found) => {
    hrp = found.hrp
    showAddress()
  },
  () => {},
)

class NoSpend extends TooShort {
  constructor() {
    super('a spend of a contract')
    this.message = 'No contract has spent in the newest blocks of your chain. '
  }

  get remedy() {
    return ['Make one (', element('code', {}, 'moneyer contract'), ')']
  }
}

// A contract's spend of the newest blocks. Throws TooShort.
async function someSpend() {
  for (const { hash, tx_count: count } of await newest(100)) {
    if (count < 2) continue
    const { transactions } = await ask(`/v1/blocks/${hash}/transactions?start=1&limit=100`)
    const found = transactions.find((spend) => spend.policy)
    if (found) return found
  }
  throw new NoSpend()
}

fillOwn(async () => {
  const { rules = 1 } = await coin()
  if (rules < 2) throw new Error('Your coin has rules 1, which know no contracts: coins that are made now have rules 2.')
  const [spend, { height: tip }] = [await someSpend(), await status()]
  const shown = policies.readWitness(fromHex(spend.witness))
  const signed = new Set(shown.named)
  const does = (leaf) => (signed.has(leaf.leaf) ? ` ${DOES[kindOf(leaf)]}` : '')
  const leafOf = (leaf) => element('span', { class: 'node' }, nameOf(leaf), does(leaf))
  tell(one('#own-about'), `In block ${number(spend.height)} of ${number(tip)} a contract spent. It showed this policy:`)
  one('#own-tree').replaceChildren(item(shown.policy, leafOf))
  for (const row of each('#own-tree [data-leaf]')) row.classList.toggle('named', signed.has(Number(row.dataset.leaf)))
  const enough = policies.judge(shown.policy, signed) === 'enough'
  const says = enough ? 'Exactly enough: computed here, from its bytes.' : 'Not exactly enough: no node takes this.'
  judge(one('#own-verdict'), enough ? 'good' : 'bad', says)
})
