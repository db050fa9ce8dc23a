// Addresses: bech32m (BIP350) over the coin's hrp and a payload of 33 bytes, its kind and a key.

const SYMBOLS = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3]
const BECH32M = 0x2bc830a3

function checksum(hrp, data) {
  const codes = Array.from(hrp, (letter) => letter.charCodeAt(0))
  let sum = 1
  for (const value of [...codes.map((code) => code >> 5), 0, ...codes.map((code) => code & 31), ...data]) {
    const top = sum >>> 25
    sum = ((sum & 0x1ffffff) << 5) ^ value
    GENERATOR.forEach((word, bit) => {
      if ((top >> bit) & 1) sum ^= word
    })
  }
  return sum ^ BECH32M
}

// The lower-case address of a payload.
export function encodeAddress(hrp, payload) {
  const bits = Array.from(payload.slice(1), (byte) => byte.toString(2).padStart(8, '0')).join('') + '0000'
  const data = [payload[0], ...bits.match(/.{5}/g).map((five) => parseInt(five, 2))]
  const sum = checksum(hrp, [...data, 0, 0, 0, 0, 0, 0])
  const last = Array.from({ length: 6 }, (_, i) => (sum >>> (5 * (5 - i))) & 31)
  return `${hrp}1${[...data, ...last].map((value) => SYMBOLS[value]).join('')}`
}

// The payload of an address of this coin. Throws where the text is none.
export function decodeAddress(hrp, text) {
  if (text !== text.toLowerCase() && text !== text.toUpperCase()) throw new Error('its letters are of both cases')
  const lower = text.toLowerCase()
  if (!lower.startsWith(`${hrp}1`) || lower.length !== hrp.length + 60) throw new Error('no address of this coin')
  const data = Array.from(lower.slice(hrp.length + 1), (symbol) => SYMBOLS.indexOf(symbol))
  if (data.includes(-1) || checksum(hrp, data) !== 0) throw new Error('the checksum does not fit')
  const fives = data.slice(1, -6).map((value) => value.toString(2).padStart(5, '0'))
  const bits = fives.join('')
  if (data[0] !== 0 || bits.slice(256) !== '0000') throw new Error('no kind of address that is in use')
  return Uint8Array.from([0, ...bits.slice(0, 256).match(/.{8}/g).map((byte) => parseInt(byte, 2))])
}
