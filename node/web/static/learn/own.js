// The reader's own chain, as this node tells it. What comes from it is data of strangers: it is only ever set as text.

import { element, one } from './ui.js'

// A JSON answer of the node. Throws an Error whose message is a sentence.
export async function ask(path) {
  const answer = await get(path)
  return answer.json()
}

// The bytes of a block, by height or hash.
export async function rawBlock(id) {
  const answer = await get(`/v1/blocks/${id}/raw`)
  return new Uint8Array(await answer.arrayBuffer())
}

async function get(path) {
  const answer = await fetch(path).catch(() => {
    throw new Error('The node does not answer: it may have ended. Start it again, then load this page anew.')
  })
  if (!answer.ok) throw new Error(`The node answered ${answer.status} when this page asked for ${path}.`)
  return answer
}

export const status = () => ask('/v1/status')
export const coin = () => ask('/v1/coin')

// The newest `count` blocks, the newest first.
export const newest = async (count) => (await ask(`/v1/blocks?limit=${count}`)).blocks

// Says that the chain lacks something, and how it gets that.
export class TooShort extends Error {
  constructor(wanted) {
    super(`Your chain is still too short for this: it takes ${wanted}. `)
  }

  get remedy() {
    return ['Mine some blocks (', element('code', {}, 'moneyer mine 5'), ')']
  }
}

class NoPayment extends TooShort {
  constructor() {
    super('a payment')
    this.message = 'No payment stands in the newest blocks of your chain. '
  }

  get remedy() {
    return [element('a', { href: '/wallet/send' }, 'Send some coins')]
  }
}

// Fills the part of a page about the reader's own chain; again with the next block while the chain is too short.
export async function fillOwn(load) {
  const note = one('#own-note')
  try {
    await load()
    note.replaceChildren()
  } catch (problem) {
    note.replaceChildren(problem.message)
    if (!(problem instanceof TooShort)) return
    note.append(...problem.remedy, ', and this page goes on by itself.')
    document.body.addEventListener('moneyer:block', () => fillOwn(load), { once: true })
  }
}

// A transfer of the newest blocks, as the API tells it, with its block: {block, transaction}. Throws TooShort.
export async function someTransfer(blocks = 200) {
  for (const { hash, tx_count: count } of await newest(blocks)) {
    if (count < 2) continue
    const block = await ask(`/v1/blocks/${hash}/transactions?start=1&limit=1`)
    const transaction = block.transactions.find(({ kind }) => kind === 'transfer')
    if (transaction) return { block, transaction }
  }
  throw new NoPayment()
}
