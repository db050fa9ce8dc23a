// Mines a header away from the page's own thread.

// Looks for a nonce with which the 80 bytes of `header` hash to at most `target`. `progress(tries, seconds)` is called
// now and then. Returns {done, stop}: `done` resolves to {nonce, tries, seconds}, with nonce null where it was stopped
// or where no nonce of the 2^32 fits.
export function mine(header, target, progress = () => {}) {
  const worker = new Worker(new URL('./mining_worker.js', import.meta.url), { type: 'module' })
  const start = performance.now()
  let tries = 0
  let end
  const done = new Promise((resolve, reject) => {
    end = (nonce) => {
      worker.terminate()
      resolve({ nonce, tries, seconds: (performance.now() - start) / 1000 })
    }
    worker.onmessage = ({ data }) => {
      tries = data.tries
      progress(tries, (performance.now() - start) / 1000)
      if (data.nonce !== null || data.exhausted) end(data.nonce)
    }
    worker.onerror = () => {
      worker.terminate()
      reject(new Error('this browser runs no mining thread here'))
    }
  })
  worker.postMessage({ header, target })
  return { done, stop: () => end(null) }
}
