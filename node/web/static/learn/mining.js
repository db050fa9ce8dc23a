// Mines a header away from the page's own thread.

import { search } from './search.js'

const SLICE = 5_000
const start = () => new Worker(new URL('./mining_worker.js', import.meta.url), { type: 'module' })

// One worker waits beforehand: the page can still mine when the node that sent it has ended.
let spare = start()

// Looks for a nonce with which the 80 bytes of `header` hash to at most `target`. `progress(tries, seconds)` is called
// now and then. Returns {done, stop}: `done` resolves to {nonce, tries, seconds}, with nonce null where it was stopped
// or where no nonce of the 2^32 fits.
export function mine(header, target, progress = () => {}) {
  const began = performance.now()
  const seconds = () => (performance.now() - began) / 1000
  const worker = spare
  spare = start()
  let tries = 0
  let over = false
  let end
  const done = new Promise((resolve) => {
    end = (nonce) => {
      if (over) return
      over = true
      worker.terminate()
      resolve({ nonce, tries, seconds: seconds() })
    }
  })
  const told = ({ nonce, tries: sum }) => {
    if (over) return
    tries = sum
    progress(tries, seconds())
    if (nonce !== null || tries >= 2 ** 32) end(nonce)
  }
  worker.onmessage = ({ data }) => told(data)
  // Where a browser has no such workers, the page searches itself, in slices.
  worker.onerror = () => {
    const next = () => {
      if (over) return
      const { nonce, tried } = search(header, target, tries, SLICE)
      told({ nonce, tries: tries + tried })
      setTimeout(next)
    }
    next()
  }
  worker.postMessage({ header, target })
  return { done, stop: () => end(null) }
}
