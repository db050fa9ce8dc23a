// What the lesson's pages share: elements, hashes and bytes in colour, numbers in words, and the tasks that tick.

import { toHex } from './bytes.js'

export const one = (selector, within = document) => within.querySelector(selector)
export const each = (selector, within = document) => [...within.querySelectorAll(selector)]

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name, value)
    else if (value !== false && value !== null) made.setAttribute(name, value === true ? '' : value)
  }
  made.append(...children)
  return made
}

// A new element. A function among the attributes listens to the event of its name.
export const element = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children)
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children)

const NUMBERS = new Intl.NumberFormat('en')

export const number = (value) => NUMBERS.format(value)
export const plural = (count, word, words = `${word}s`) => `${number(count)} ${Number(count) === 1 ? word : words}`

const BIG = ['', 'thousand', 'million', 'billion', 'trillion', 'quadrillion', 'quintillion']

// A large number for people: 65,536; 16.8 million; 10^40.
export function roughly(value) {
  const size = Number(value)
  if (size < 1e6) return number(Math.round(size))
  const power = Math.floor(Math.log10(size) / 3)
  if (power >= BIG.length) return `10^${Math.round(Math.log10(size))}`
  return `${number(Number((size / 1000 ** power).toPrecision(3)))} ${BIG[power]}`
}

const SPANS = [
  ['year', 31_557_600],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
]

// Seconds in words: 0.4 seconds, 12 minutes, 3 million years.
export function span(seconds) {
  const [name, length] = SPANS.find(([, size]) => seconds >= 2 * size) ?? ['second', 1]
  const count = seconds / length
  return `${count < 10 ? number(Number(count.toPrecision(2))) : roughly(count)} ${name}${count === 1 ? '' : 's'}`
}

// Base units as coins, exactly.
export function coins(units, decimals) {
  const digits = BigInt(units).toString().padStart(decimals + 1, '0')
  const [whole, part] = [digits.slice(0, digits.length - decimals), digits.slice(digits.length - decimals)]
  const rest = part.replace(/0+$/, '')
  return number(BigInt(whole)) + (rest ? `.${rest}` : '')
}

// Coins as base units; null where the text is no amount.
export function unitsOf(text, decimals) {
  const found = /^(\d{1,12})(?:\.(\d+))?$/.exec(text.trim())
  const part = found?.[2] ?? ''
  return found && part.length <= decimals ? BigInt(found[1] + part.padEnd(decimals, '0')) : null
}

// Sets a text only where it is another one, so that nothing is read out twice.
export function tell(node, text) {
  if (node.textContent !== text) node.textContent = text
}

// A verdict: `good`, `bad` or null for neither.
export function judge(node, verdict, text) {
  node.dataset.verdict = verdict ?? ''
  tell(node, text)
}

// A hash as digits, in which the leading zeros stand out, and what differs from `before`.
export function showHash(node, text, before = text) {
  const zeros = /^0*/.exec(text)[0].length
  node.replaceChildren(
    element('span', { class: 'zeros' }, text.slice(0, zeros)),
    ...runs(text, before, zeros).map(([piece, differs]) => (differs ? element('mark', {}, piece) : piece)),
  )
}

// Cuts a text behind `from` into pieces that are equal to `before` there or differ: [[piece, differs]].
function runs(text, before, from) {
  const found = []
  for (let i = from; i < text.length; i++) {
    const differs = text[i] !== before[i]
    if (found.at(-1)?.[1] === differs) found.at(-1)[0] += text[i]
    else found.push([text[i], differs])
  }
  return found
}

// Bytes field by field, each in a colour of its own: `parts` are [name, bytes]. `colours`: names in the order of their
// colours. A field that is not as in `before` is marked.
export function showParts(node, parts, colours, before = null) {
  node.replaceChildren(
    ...parts
      .filter(([, bytes]) => bytes.length)
      .map(([name, bytes]) => {
        const old = before?.find(([other]) => other === name)
        const changed = old && toHex(old[1]) !== toHex(bytes)
        const kind = `piece colour-${colours.indexOf(name) % 8}${changed ? ' changed' : ''}`
        return element('span', { class: kind, title: name.replace('_', ' '), 'data-part': name }, toHex(bytes))
      }),
  )
}

// Calls draw(width, height) for a chart now and whenever its size changes, in whole CSS pixels, so that text keeps its
// size on a telephone. Returns a function that draws it again.
export function chart(node, draw) {
  const again = () => {
    const { width, height } = node.getBoundingClientRect()
    const [w, h] = [Math.max(200, Math.round(width)), Math.max(100, Math.round(height))]
    node.setAttribute('viewBox', `0 0 ${w} ${h}`)
    node.replaceChildren(...draw(w, h))
  }
  new ResizeObserver(again).observe(node)
  return again
}

const STORE = 'moneyer.lesson'

// Which tasks of which step are done: {step: [task]}. Where the browser keeps nothing, nothing is.
export function progress() {
  try {
    return JSON.parse(localStorage.getItem(STORE)) ?? {}
  } catch {
    return {}
  }
}

function keep(all) {
  try {
    localStorage.setItem(STORE, JSON.stringify(all))
  } catch {
    // Private windows may refuse: the ticks last as long as the page.
  }
}

const STEP = one('[data-step]')?.dataset.step

// Ticks a task of this page.
export function done(task) {
  const row = one(`[data-task="${task}"]`)
  if (!row || row.classList.contains('done')) return
  mark(row)
  const all = progress()
  keep({ ...all, [STEP]: [...new Set([...(all[STEP] ?? []), task])] })
  if (each('[data-task]').every((other) => other.classList.contains('done'))) finish()
  tell(one('#ticked'), `Done: ${one('.what', row).textContent}`)
}

function mark(row) {
  row.classList.add('done')
  tell(one('.state', row), 'done')
}

function finish() {
  one('#finished')?.classList.add('shown')
  markSteps()
}

// Steps whose every task is done get a tick in the row of steps, and on the lesson's first page.
function markSteps() {
  const all = progress()
  for (const step of each('[data-progress]')) {
    const whole = (all[step.dataset.progress]?.length ?? 0) >= Number(step.dataset.tasks)
    step.classList.toggle('done', whole)
    tell(one('.state', step), whole ? '(done)' : '')
  }
}

export function restore() {
  for (const task of progress()[STEP] ?? []) {
    const row = one(`[data-task="${CSS.escape(task)}"]`)
    if (row) mark(row)
  }
  if (STEP && each('[data-task]').every((row) => row.classList.contains('done'))) finish()
  markSteps()
}

restore()
