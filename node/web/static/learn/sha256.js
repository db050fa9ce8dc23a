// SHA-256 (FIPS 180-4), written out: crypto.subtle is missing on plain http beyond localhost, and is never synchronous.

const PRIMES = []
for (let n = 2; PRIMES.length < 64; n++) if (PRIMES.every((prime) => n % prime)) PRIMES.push(n)

// The first 32 bits behind the point of a root, which is where the standard takes its constants from.
const bitsOf = (root) => ((root - Math.floor(root)) * 2 ** 32) | 0
const K = Int32Array.from(PRIMES, (prime) => bitsOf(Math.cbrt(prime)))
export const START = Int32Array.from(PRIMES.slice(0, 8), (prime) => bitsOf(Math.sqrt(prime)))

// Mixes one block into `state` (8 words). `w` has 64 words, of which the first 16 are the block's, big-endian.
export function compress(state, w) {
  for (let i = 16; i < 64; i++) {
    const x = w[i - 15]
    const y = w[i - 2]
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10)
    w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0
  }
  let [a, b, c, d] = [state[0], state[1], state[2], state[3]]
  let [e, f, g, h] = [state[4], state[5], state[6], state[7]]
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  state[0] += a
  state[1] += b
  state[2] += c
  state[3] += d
  state[4] += e
  state[5] += f
  state[6] += g
  state[7] += h
}

// The 32 bytes of the SHA-256 of bytes.
export function sha256(bytes) {
  const padded = new Uint8Array(((bytes.length + 8) >> 6 << 6) + 64)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29))
  view.setUint32(padded.length - 4, (bytes.length * 8) >>> 0)
  const state = START.slice()
  const w = new Int32Array(64)
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(block + 4 * i)
    compress(state, w)
  }
  const out = new DataView(new ArrayBuffer(32))
  state.forEach((word, i) => out.setInt32(4 * i, word))
  return new Uint8Array(out.buffer)
}

// SHA-256 of SHA-256: what block hashes, txids and Merkle trees are made of.
export const sha256d = (bytes) => sha256(sha256(bytes))

// A word with its four bytes in the other order.
export const littleEndian = (word) =>
  (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)
