// Proof of work and the retarget, as sections 5 of docs/protocol.md has them. Targets and work are BigInt.

import { bigOf } from './bytes.js'

const ALL = 2n ** 256n

// The target of compact bits (a number). Throws where there is none.
export function decodeBits(bits) {
  const exponent = bits >>> 24
  const mantissa = BigInt(bits & 0x7fffff)
  const target = exponent <= 3 ? mantissa >> BigInt(8 * (3 - exponent)) : mantissa << BigInt(8 * (exponent - 3))
  if (bits & 0x800000 || target === 0n || target >= ALL) throw new Error('these bits are no target')
  return target
}

// Compact bits of a target, cut off as Bitcoin does.
export function encodeBits(target) {
  let size = Math.ceil(target.toString(16).length / 2)
  let mantissa = Number(size <= 3 ? target << BigInt(8 * (3 - size)) : target >> BigInt(8 * (size - 3)))
  if (mantissa & 0x800000) {
    mantissa >>= 8
    size += 1
  }
  return size * 2 ** 24 + mantissa
}

// How many hashes a block at this target takes on average.
export const blockWork = (target) => ALL / (target + 1n)

// A hash as the number that is compared with the target.
export const hashNumber = (hash) => bigOf(hash)

// Whether a hash has shown the work that bits ask for.
export const isLowEnough = (hash, bits) => hashNumber(hash) <= decodeBits(bits)

// The bits that the block at `height` must carry. `window`: [{timestamp, bits}] that end with its parent, oldest first.
// `coin`: block_time, difficulty_window, retarget, and pow_limit as a number.
export function nextBits(window, height, coin) {
  const n = Math.min(height - 2, coin.difficulty_window)
  if (!coin.retarget || n < 3) return coin.pow_limit
  const rows = window.slice(-(n + 1))
  if (rows.length !== n + 1) throw new Error(`the retarget at height ${height} takes ${n + 1} blocks`)
  let weighted = 0n
  let targets = 0n
  let before = rows[0].timestamp
  for (let i = 1; i <= n; i++) {
    const now = Math.max(rows[i].timestamp, before + 1)
    weighted += BigInt(i) * BigInt(Math.min(6 * coin.block_time, now - before))
    targets += decodeBits(rows[i].bits)
    before = now
  }
  const wanted = (BigInt(coin.block_time) * BigInt(n) * BigInt(n + 1)) / 2n
  const target = ((targets / BigInt(n)) * weighted) / wanted
  const easiest = decodeBits(coin.pow_limit)
  return encodeBits(target > easiest ? easiest : target < 1n ? 1n : target)
}
