// The coin's bytes, as docs/protocol.md has them. Each thing is a list of parts [name, bytes], so that a page can show
// every field in its own colour; the bytes themselves are the parts end to end.

import { sha256, sha256d } from './sha256.js'

const utf8 = new TextEncoder()

export const textBytes = (text) => utf8.encode(text)
export const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

// Throws where the text is not hex.
export function fromHex(text) {
  if (!/^([0-9a-f]{2})*$/i.test(text)) throw new Error('hex has two digits 0-9 a-f a byte')
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16))
}

// Block hashes, txids and Merkle roots are shown with their bytes in reverse.
export const show = (hash) => toHex(Uint8Array.from(hash).reverse())
export const unshow = (text) => fromHex(text).reverse()

export function concat(...pieces) {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

export const joined = (parts) => concat(...parts.map(([, bytes]) => bytes))

// A whole number (a number or a BigInt) as `size` bytes, the lowest first.
export function little(number, size) {
  let left = BigInt(number)
  if (left < 0n || left >> BigInt(8 * size)) throw new Error(`${number} does not fit into ${size} bytes`)
  return Uint8Array.from({ length: size }, () => {
    const byte = Number(left & 255n)
    left >>= 8n
    return byte
  })
}

export const bigOf = (bytes) => bytes.reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
export const numberOf = (bytes) => Number(bigOf(bytes))

// Reads bytes from front to back; throws where they end too early.
class Reader {
  constructor(bytes, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  take(size) {
    if (this.at + size > this.bytes.length) throw new Error('the bytes end too early')
    this.at += size
    return this.bytes.slice(this.at - size, this.at)
  }

  number(size) {
    return numberOf(this.take(size))
  }

  count() {
    const start = this.at
    const first = this.number(1)
    const count = first < 0xfd ? first : this.number({ 0xfd: 2, 0xfe: 4, 0xff: 8 }[first])
    if (this.at - start !== compactSize(count).length) throw new Error('the count is longer than needed')
    return count
  }
}

// CompactSize, the shortest form.
export function compactSize(count) {
  if (count < 0xfd) return little(count, 1)
  if (count <= 0xffff) return concat([0xfd], little(count, 2))
  if (count <= 0xffffffff) return concat([0xfe], little(count, 4))
  return concat([0xff], little(count, 8))
}

export const headerParts = (header) => [
  ['version', little(header.version, 4)],
  ['prev_hash', header.prev_hash],
  ['merkle_root', header.merkle_root],
  ['timestamp', little(header.timestamp, 4)],
  ['bits', little(header.bits, 4)],
  ['nonce', little(header.nonce, 4)],
]

export const encodeHeader = (header) => joined(headerParts(header))
export const blockHash = (header) => sha256d(encodeHeader(header))

const readHeader = (from) => ({
  version: from.number(4),
  prev_hash: from.take(32),
  merkle_root: from.take(32),
  timestamp: from.number(4),
  bits: from.number(4),
  nonce: from.number(4),
})

export const decodeHeader = (bytes) => readHeader(new Reader(bytes))

export const coinbaseParts = (coinbase) => [
  ['version', little(0, 1)],
  ['height', little(coinbase.height, 4)],
  ['receiver', coinbase.receiver],
  ['amount', little(coinbase.amount, 8)],
  ['length', little(coinbase.extra.length, 1)],
  ['extra', coinbase.extra],
]

// A text as a coinbase's `extra`. One of 17 bytes gets a space: with it the transaction would be 64 bytes long, which
// none may be.
export function extraOf(words) {
  const bytes = utf8.encode(words).slice(0, 100)
  return bytes.length === 17 ? concat(bytes, [32]) : bytes
}

// What the signature covers, beside the chain_id.
export const unsignedParts = (transfer) => [
  ['version', little(1, 1)],
  ['sender', transfer.sender],
  ['receiver', transfer.receiver],
  ['amount', little(transfer.amount, 8)],
  ['fee', little(transfer.fee, 8)],
  ['sequence', little(transfer.sequence, 8)],
  ['length', little(transfer.memo.length, 1)],
  ['memo', transfer.memo],
]

export const transferParts = (transfer) => [...unsignedParts(transfer), ['signature', transfer.signature]]
const PARTS = { coinbase: coinbaseParts, transfer: transferParts, other: ({ bytes }) => [['bytes', bytes]] }
export const transactionParts = (each) => PARTS[each.kind](each)
export const encodeTransaction = (each) => joined(transactionParts(each))
export const txidOf = (each) => sha256d(encodeTransaction(each))

// Versions 2 to 5 (rules 2: assets, contracts), whole: no page of the lesson shows their fields.
function readOther(from, version) {
  const start = from.at - 1
  from.take(33 + 8 + 8)
  if (version === 3) {
    from.take(33 + 8 + 8 + 1)
    from.take(from.number(1)) // symbol
    from.take(from.number(1) + 32) // name, content
  } else from.take(version === 5 ? 40 : 73)
  from.take(from.number(1))
  from.take(from.number(2))
  return { kind: 'other', version, bytes: from.bytes.slice(start, from.at) }
}

function readTransaction(from) {
  const version = from.number(1)
  if (version === 0) {
    const start = from.at - 1
    const fields = { kind: 'coinbase', height: from.number(4), receiver: from.take(33), amount: bigOf(from.take(8)) }
    const coinbase = { ...fields, extra: from.take(from.number(1)) }
    if (coinbase.extra.length > 100 || from.at - start === 64) throw new Error('a coinbase has no such length')
    return coinbase
  }
  if (version > 1 && version <= 5) return readOther(from, version)
  if (version !== 1) throw new Error(`there is no transaction of version ${version}`)
  return {
    kind: 'transfer',
    sender: from.take(33),
    receiver: from.take(33),
    amount: bigOf(from.take(8)),
    fee: bigOf(from.take(8)),
    sequence: bigOf(from.take(8)),
    memo: from.take(from.number(1)),
    signature: from.take(64),
  }
}

// One transaction, whose bytes end with these. Amounts, fees and sequences are BigInt.
export function decodeTransaction(bytes) {
  const from = new Reader(bytes)
  const transaction = readTransaction(from)
  if (from.at !== bytes.length) throw new Error('bytes follow the transaction')
  return transaction
}

// A block: its header and its transactions.
export function decodeBlock(bytes) {
  const from = new Reader(bytes)
  const header = readHeader(from)
  const transactions = Array.from({ length: from.count() }, () => readTransaction(from))
  if (from.at !== bytes.length) throw new Error('bytes follow the block')
  return { header, transactions }
}

export const encodeBlock = ({ header, transactions }) =>
  concat(encodeHeader(header), compactSize(transactions.length), ...transactions.map(encodeTransaction))

// BIP340's tagged hash.
export function taggedHash(tag, bytes) {
  const name = sha256(utf8.encode(tag))
  return sha256(concat(name, name, bytes))
}

// The digest that a transfer's signature signs. `chainId`: 32 raw bytes, the genesis hash.
export const signedHash = (chainId, transfer) =>
  taggedHash('moneyer/transfer', concat(chainId, joined(unsignedParts(transfer))))

// Every level of the tree over txids: the leaves first, the root last. The last node of an odd level pairs with itself.
export function merkleLevels(txids) {
  const levels = [txids]
  while (levels.at(-1).length > 1) {
    const level = levels.at(-1)
    const pairs = Math.ceil(level.length / 2)
    levels.push(
      Array.from({ length: pairs }, (_, i) => sha256d(concat(level[2 * i], level[2 * i + 1] ?? level[2 * i]))),
    )
  }
  return levels
}

export const merkleRoot = (txids) => (txids.length ? merkleLevels(txids).at(-1)[0] : new Uint8Array(32))

// The hashes beside the way from the leaf at `position` up to the root.
export const merkleBranch = (levels, position) =>
  levels.slice(0, -1).map((level, up) => level[Math.min((position >> up) ^ 1, level.length - 1)])

// The steps from a leaf to the root that a branch proves: [{left, right, hash}], lowest first.
export function climb(leaf, position, branch) {
  let hash = leaf
  return branch.map((sibling, up) => {
    const [left, right] = (position >> up) % 2 ? [sibling, hash] : [hash, sibling]
    hash = sha256d(concat(left, right))
    return { left, right, hash }
  })
}
