// Searches in a thread of its own, in slices, so that the page stays alive and the worker can be ended at any time.

import { search } from './search.js'

const SLICE = 20_000

self.onmessage = ({ data: { header, target } }) => {
  for (let from = 0; from < 2 ** 32; from += SLICE) {
    const { nonce, tried } = search(header, target, from, SLICE)
    self.postMessage({ nonce, tries: from + tried })
    if (nonce !== null) return
  }
}
