// Keys and signatures: BIP340 over secp256k1, by @noble/secp256k1, which is given our own SHA-256.

import * as secp from '../vendor/noble-secp256k1/index.js'
import { concat, signedHash } from './bytes.js'
import { sha256 } from './sha256.js'

secp.hashes.sha256 = (bytes) => sha256(bytes)

// A fresh secret key of 32 bytes. It stays in the page.
export const newSecret = () => secp.utils.randomSecretKey()

// The 33-byte payload of a secret's address: kind 0, then the x-only public key.
export const payloadOf = (secret) => concat([0], secp.schnorr.getPublicKey(secret))

export const sign = (secret, digest, auxRand) => secp.schnorr.sign(digest, secret, auxRand)

// Whether a signature (64 bytes) is by a key (32 bytes) over a digest; false for a key off the curve.
export const verify = (key, digest, signature) => secp.schnorr.verify(signature, digest, key)

// A transfer with its sender's signature, good on the chain of this chain_id (32 raw bytes) only.
export function signTransfer(secret, chainId, unsigned, auxRand) {
  return { ...unsigned, signature: sign(secret, signedHash(chainId, unsigned), auxRand) }
}

export const isSigned = (chainId, transfer) =>
  transfer.sender[0] === 0 && verify(transfer.sender.slice(1), signedHash(chainId, transfer), transfer.signature)
