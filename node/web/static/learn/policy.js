// Policies (docs/protocol.md, rules 2): who may spend, as a tree; its bytes; and whether leaves are exactly enough.
//
// A node is { key }, { hash }, { after_height }, { after_time } or { threshold, of: [node, …] }. Keys and hashes have
// 32 bytes. Leaves are numbered 0, 1, … from front to back, and a decoded leaf has its number as `leaf`.

import { concat, little, numberOf, textBytes, toHex } from './bytes.js'
import { sha256 } from './sha256.js'

const MOST = { nodes: 64, keys: 20, depth: 4, children: 16 }
const TAGS = ['key', 'hash', 'after_height', 'after_time']
const SIZES = [32, 32, 4, 4]

export const kindOf = (node) => (node.of ? 'threshold' : TAGS.find((kind) => node[kind] !== undefined))

// The leaves from front to back.
export const leavesOf = (node) => (node.of ? node.of.flatMap(leavesOf) : [node])

export function encodePolicy(node) {
  if (node.of) return concat([4, node.threshold, node.of.length], ...node.of.map(encodePolicy))
  const kind = kindOf(node)
  const tag = TAGS.indexOf(kind)
  return concat([tag], tag < 2 ? node[kind] : little(node[kind], 4))
}

// The policy that bytes are, all of them. Throws where they are none.
export function decodePolicy(bytes) {
  const read = { bytes, at: 0, nodes: 0, leaves: 0, keys: new Set() }
  const policy = readNode(read, 1)
  if (read.at !== bytes.length) throw new Error('bytes follow the policy')
  return policy
}

function take(read, size) {
  if (read.at + size > read.bytes.length) throw new Error('the policy is cut short')
  read.at += size
  return read.bytes.slice(read.at - size, read.at)
}

function readNode(read, depth) {
  if (++read.nodes > MOST.nodes) throw new Error('the policy has too many nodes')
  if (depth > MOST.depth) throw new Error('the policy is too deep')
  const [tag] = take(read, 1)
  if (tag === 4) return readThreshold(read, depth)
  if (tag > 4) throw new Error('no node has this tag')
  const data = take(read, SIZES[tag])
  if (tag === 0) checkKey(read.keys, toHex(data))
  return { [TAGS[tag]]: tag < 2 ? data : numberOf(data), leaf: read.leaves++ }
}

function checkKey(keys, key) {
  if (keys.has(key)) throw new Error('a key stands twice in the policy')
  if (keys.add(key).size > MOST.keys) throw new Error('the policy has too many keys')
}

function readThreshold(read, depth) {
  const [threshold, count] = take(read, 2)
  const fits = count >= 2 && count <= MOST.children && threshold >= 1 && threshold <= count
  if (!fits) throw new Error('a threshold asks for k of n, 1 <= k <= n and 2 <= n <= 16')
  return { threshold, of: Array.from({ length: count }, () => readNode(read, depth + 1)) }
}

// The 33-byte payload of a policy's address: kind 1, then the tagged hash of its bytes.
export function payloadOf(raw) {
  const tag = sha256(textBytes('moneyer/policy'))
  return concat([1], sha256(concat(tag, tag, raw)))
}

// Whether the named leaves (a Set of their numbers) meet a decoded policy, and no fewer of them do:
// 'enough', 'too few' or 'too many'.
export function judge(policy, named) {
  let tooMany = false
  const look = (node) => {
    if (!node.of) return { met: named.has(node.leaf), any: named.has(node.leaf) }
    const children = node.of.map(look)
    const count = children.filter(({ met }) => met).length
    if (count > node.threshold || children.some(({ met, any }) => any && !met)) tooMany = true
    return { met: count === node.threshold, any: children.some(({ any }) => any) }
  }
  const { met } = look(policy)
  return tooMany ? (isMet(policy, named) ? 'too many' : 'too few') : met ? 'enough' : 'too few'
}

// Whether the named leaves meet a policy, some of them perhaps for nothing.
function isMet(node, named) {
  return node.of ? node.of.filter((child) => isMet(child, named)).length >= node.threshold : named.has(node.leaf)
}

// Whether a leaf is true in a block of this height and time, as far as a block decides that.
export function hasCome(leaf, height, time) {
  if (leaf.after_height !== undefined) return height >= leaf.after_height
  return leaf.after_time === undefined || time >= leaf.after_time
}

// What a contract's spend shows: its policy, decoded, and the numbers of the leaves that it names. Throws.
export function readWitness(witness) {
  const size = numberOf(witness.slice(0, 2))
  const policy = decodePolicy(witness.slice(2, 2 + size))
  const sizes = leavesOf(policy).map((leaf) => ({ key: 64, hash: 32 })[kindOf(leaf)] ?? 0)
  const named = []
  let at = 3 + size
  while (at < witness.length) {
    named.push(witness[at])
    at += 1 + sizes[witness[at]]
  }
  if (at !== witness.length || named.length !== witness[2 + size]) throw new Error('the witness is cut short')
  return { policy, named }
}

// How many choices of leaves are exactly enough.
export function waysOf(node) {
  if (!node.of) return 1n
  const sums = node.of.map(waysOf).reduce(
    (ways, own) => [...ways, 0n].map((count, k) => count + (k ? ways[k - 1] * own : 0n)),
    [1n],
  )
  return sums[node.threshold]
}
