// The search for a nonce. A header's first 64 bytes are hashed once (the midstate): a try costs two blocks of SHA-256.

import { compress, littleEndian, START } from './sha256.js'

const LARGEST = 2 ** 32

// Tries `count` nonces from `from` on for a header of 80 bytes. Returns {nonce, tried}; nonce is null where none fits.
export function search(header, target, from, count) {
  const view = new DataView(header.buffer, header.byteOffset, 80)
  const w = new Int32Array(64)
  const midstate = START.slice()
  for (let i = 0; i < 16; i++) w[i] = view.getInt32(4 * i)
  compress(midstate, w)
  const limit = wordsOf(target)
  const [end, merkle, time, bits] = [Math.min(from + count, LARGEST), ...[64, 68, 72].map((at) => view.getInt32(at))]
  const first = new Int32Array(8)
  const second = new Int32Array(8)
  for (let nonce = from; nonce < end; nonce++) {
    w.fill(0)
    w[0] = merkle
    w[1] = time
    w[2] = bits
    w[3] = littleEndian(nonce)
    w[4] = 0x80000000
    w[15] = 640
    first.set(midstate)
    compress(first, w)
    w.fill(0)
    w.set(first)
    w[8] = 0x80000000
    w[15] = 256
    second.set(START)
    compress(second, w)
    if (isAtMost(second, limit)) return { nonce, tried: nonce - from + 1 }
  }
  return { nonce: null, tried: Math.max(0, end - from) }
}

// A target as eight words of 32 bits, the highest first.
const wordsOf = (target) => Array.from({ length: 8 }, (_, i) => Number((target >> BigInt(32 * (7 - i))) & 0xffffffffn))

// Whether a hash (eight big-endian words of its bytes) is, as a little-endian number, no more than a target's words.
function isAtMost(hash, limit) {
  for (let i = 0; i < 8; i++) {
    const word = littleEndian(hash[7 - i]) >>> 0
    if (word !== limit[i]) return word < limit[i]
  }
  return true
}
